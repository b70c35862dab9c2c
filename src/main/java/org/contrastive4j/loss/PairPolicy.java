package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.Objects;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * What equal ids mean, and how similar a guide model may find a negative.
 *
 * <p>A pair (i, j) that is no positive is ignored when the guide's similarity K_ij is larger than the limit of row i or
 * that of column j. The limit of a row follows from its target t: K_it - margin, or K_it (1 - margin) when relative;
 * that of a column is the least of the rows whose target it is; without a target there is no limit. Source: Solatorio,
 * GISTEmbed: guided in-sample selection of training negatives, 2024 (margin 0).
 *
 * @param sameId whether pairs of equal ids other than (i, target) are positives or ignored
 * @param guideMargin at least 0, at most 2
 * @param relative whether the margin is a share of the positive's similarity; then at most 1
 */
public record PairPolicy(Pairing.SameId sameId, double guideMargin, boolean relative) {
    /** Equal ids are ignored, and what the guide finds more similar than the positive. */
    public static final PairPolicy DEFAULT = new PairPolicy(Pairing.SameId.IGNORED, 0, false);

    /** Equal ids are positives. */
    public static final PairPolicy MULTI_POSITIVE = new PairPolicy(Pairing.SameId.POSITIVE, 0, false);

    public PairPolicy {
        Objects.requireNonNull(sameId, "sameId");
        LossOptionException.require(
                guideMargin >= 0 && guideMargin <= (relative ? 1 : 2),
                "guide margin is " + guideMargin + ", expected 0 to " + (relative ? "1" : "2"));
    }

    /** The pairing of n rows and m columns; the guide's limits only for the directions that a loss has. */
    Pairing pairing(int n, int m, PairLabels labels, boolean limitRows, boolean limitColumns) {
        Pairing pairing;
        if (labels.targets() == null) {
            pairing = Pairing.diagonal(n, m);
        } else {
            int[] targets = labels.targets().toInts();
            requireCount("targets", targets.length, n);
            pairing = Pairing.of(m, targets);
        }
        if (labels.rowIds() != null) {
            pairing =
                    pairing.withIds(labels.rowIds().toInts(), labels.columnIds().toInts(), sameId);
        }
        return labels.guideRows() == null ? pairing : guided(pairing, labels, limitRows, limitColumns);
    }

    private static void requireCount(String what, int given, int wanted) {
        if (given != wanted) {
            throw new ShapeException(given + " " + what + ", expected " + wanted);
        }
    }

    private Pairing guided(Pairing pairing, PairLabels labels, boolean limitRows, boolean limitColumns) {
        Tensor rows = labels.guideRows();
        Tensor columns = labels.guideColumns();
        if (rows.shape().rank() != 2
                || columns.shape().rank() != 2
                || rows.dim(1) != columns.dim(1)
                || rows.dim(0) != pairing.n()
                || columns.dim(0) != pairing.m()) {
            throw new ShapeException("the guide's representations are " + rows + " and " + columns + ", expected ["
                    + pairing.n() + ", e] and [" + pairing.m() + ", e]");
        }
        double[] rowLimits = new double[pairing.n()];
        double[] columnLimits = new double[pairing.m()];
        Arrays.fill(rowLimits, Double.POSITIVE_INFINITY);
        Arrays.fill(columnLimits, Double.POSITIVE_INFINITY);
        double[] left = rows.toDoubles();
        double[] right = columns.toDoubles();
        int width = rows.dim(1);
        for (int i = 0; i < rowLimits.length; i++) {
            int t = pairing.target(i);
            if (t != Pairing.NONE) {
                double similarity = 0;
                for (int k = 0; k < width; k++) {
                    similarity += left[i * width + k] * right[t * width + k];
                }
                double limit = relative ? similarity * (1 - guideMargin) : similarity - guideMargin;
                rowLimits[i] = limitRows ? limit : rowLimits[i];
                columnLimits[t] = limitColumns ? Math.min(columnLimits[t], limit) : columnLimits[t];
            }
        }
        return pairing.withGuide(new Pairing.Guide(rows, columns, rowLimits, columnLimits));
    }
}
