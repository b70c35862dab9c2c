package org.contrastive4j.loss;

import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Labels of the pairs of a batch. All components may be null; the positive of row i then is column i.
 *
 * @param targets [n] I32, the positive column of each row; -1 for a row whose only positives are those with its id;
 *     null if the positive of row i is column i
 * @param rowIds [n] I32; a {@link PairPolicy} of the loss decides whether pairs with equal ids are positive or ignored
 * @param columnIds [m] I32; null exactly when rowIds is null
 * @param guideRows [n, e] unit representations of the rows by a guide model; read
 * @param guideColumns [m, e] unit representations of the columns; null exactly when guideRows is null
 */
public record PairLabels(
        @Nullable Tensor targets,
        @Nullable Tensor rowIds,
        @Nullable Tensor columnIds,
        @Nullable Tensor guideRows,
        @Nullable Tensor guideColumns) {
    /** The positive of row i is column i. */
    public static final PairLabels DIAGONAL = new PairLabels(null, null, null, null, null);

    /**
     * Checks that ids and guides are given for both sides or for none.
     *
     * @param targets [n] I32 or null
     * @param rowIds [n] I32 or null
     * @param columnIds [m] I32; null exactly when rowIds is null
     * @param guideRows [n, e] or null
     * @param guideColumns [m, e]; null exactly when guideRows is null
     * @throws LossOptionException when one side is missing
     */
    public PairLabels {
        LossOptionException.require(
                (rowIds == null) == (columnIds == null),
                "expected ids of rows and columns or of neither, got those of "
                        + (rowIds == null ? "columns" : "rows"));
        LossOptionException.require(
                (guideRows == null) == (guideColumns == null),
                "expected representations of the guide for rows and columns or for neither, got those of "
                        + (guideRows == null ? "columns" : "rows"));
    }

    /**
     * Returns labels with a positive column for each row.
     *
     * @param targets [n] I32
     * @return the labels
     */
    public static PairLabels targets(Tensor targets) {
        return new PairLabels(targets, null, null, null, null);
    }

    /**
     * Returns labels with ids; the positive of row i is column i.
     *
     * @param rowIds [n] I32
     * @param columnIds [m] I32
     * @return the labels
     */
    public static PairLabels ids(Tensor rowIds, Tensor columnIds) {
        return new PairLabels(null, rowIds, columnIds, null, null);
    }

    /**
     * Returns labels with representations of a guide; the positive of row i is column i.
     *
     * @param guideRows [n, e] unit rows
     * @param guideColumns [m, e] unit rows
     * @return the labels
     */
    public static PairLabels guide(Tensor guideRows, Tensor guideColumns) {
        return new PairLabels(null, null, null, guideRows, guideColumns);
    }
}
