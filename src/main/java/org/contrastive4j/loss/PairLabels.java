package org.contrastive4j.loss;

import org.contrastive4j.tensor.Tensor;

/**
 * What is known of a batch's pairs. All of it may be null: row i belongs to column i.
 *
 * @param targets [n] I32, the column of each row, -1 for a row whose positives are only those with its id; null: row i
 *     belongs to column i
 * @param rowIds [n] I32; what equal ids mean is a setting of the loss, see {@link PairPolicy}
 * @param columnIds [m] I32; given exactly when rowIds are
 * @param guideRows [n, e] unit rows of a guide model; read
 * @param guideColumns [m, e]; given exactly when guideRows are
 */
public record PairLabels(Tensor targets, Tensor rowIds, Tensor columnIds, Tensor guideRows, Tensor guideColumns) {
    /** Row i belongs to column i. */
    public static final PairLabels DIAGONAL = new PairLabels(null, null, null, null, null);

    public PairLabels {
        LossOptionException.require(
                (rowIds == null) == (columnIds == null),
                "ids are given for " + (rowIds == null ? "columns" : "rows") + " only, expected both or none");
        LossOptionException.require(
                (guideRows == null) == (guideColumns == null),
                "the guide's representations are given for " + (guideRows == null ? "columns" : "rows")
                        + " only, expected both or none");
    }

    public static PairLabels targets(Tensor targets) {
        return new PairLabels(targets, null, null, null, null);
    }

    public static PairLabels ids(Tensor rowIds, Tensor columnIds) {
        return new PairLabels(null, rowIds, columnIds, null, null);
    }

    public static PairLabels guide(Tensor guideRows, Tensor guideColumns) {
        return new PairLabels(null, null, null, guideRows, guideColumns);
    }
}
