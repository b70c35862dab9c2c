package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.Objects;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Decides which pairs are ignored: those with equal ids, and negatives that a guide model finds too similar.
 *
 * <p>Let K_ij be the similarity of row i and column j by the guide model. A pair (i, j) that is not positive is ignored
 * when K_ij exceeds the limit of row i or the limit of column j. The limit of a row with target t is K_it - margin, or
 * K_it (1 - margin) for a relative margin. The limit of a column is the smallest limit of the rows that have it as
 * their target. A row without a target has no limit, and neither has a column that is no target.
 *
 * <p>Numerics: 1e-6 is added to every limit, because the f32 similarities of equal rows differ by rounding. With margin
 * 0 a copy of the positive is thus a negative on every backend, in every order of the batch and for any sharding.
 *
 * <p>Source: Solatorio, GISTEmbed: guided in-sample selection of training negatives, 2024 (margin 0).
 *
 * <p>Tested by {@code LossSettingsTest}.
 *
 * @param sameId whether pairs with equal ids, other than (i, target), are positive or ignored
 * @param guideMargin 0 to 2; 0 to 1 for a relative margin
 * @param relative whether the margin is a fraction of the similarity of the positive
 */
public record PairPolicy(Pairing.SameId sameId, double guideMargin, boolean relative) {
    /** Ignores pairs with equal ids, and negatives that the guide finds more similar than the positive. */
    public static final PairPolicy DEFAULT = new PairPolicy(Pairing.SameId.IGNORED, 0, false);

    /** Largest rounding error of the f32 product of two unit rows. */
    private static final double ROUNDING = 1e-6;

    /** Treats pairs with equal ids as positives. */
    public static final PairPolicy MULTI_POSITIVE = new PairPolicy(Pairing.SameId.POSITIVE, 0, false);

    /**
     * Checks the margin.
     *
     * @param sameId whether pairs with equal ids are positive or ignored
     * @param guideMargin 0 to 2; 0 to 1 for a relative margin
     * @param relative whether the margin is a fraction of the similarity of the positive
     * @throws LossOptionException when the margin is out of range
     */
    public PairPolicy {
        Objects.requireNonNull(sameId, "sameId");
        LossOptionException.require(
                guideMargin >= 0 && guideMargin <= (relative ? 1 : 2),
                "expected a guide margin from 0 to " + (relative ? "1" : "2") + ", got " + guideMargin);
    }

    /** Returns the pairing of n rows and m columns, with the limits of the guide for the requested directions. */
    Pairing pairing(int n, int m, PairLabels labels, boolean limitRows, boolean limitColumns) {
        Pairing pairing;
        if (labels.targets() == null) {
            pairing = Pairing.diagonal(n, m);
        } else {
            int[] targets = labels.targets().toInts();
            requireCount("targets", targets.length, n);
            pairing = Pairing.of(m, targets);
        }
        Tensor rowIds = labels.rowIds();
        Tensor columnIds = labels.columnIds();
        if (rowIds != null && columnIds != null) {
            pairing = pairing.withIds(rowIds.toInts(), columnIds.toInts(), sameId);
        }
        Tensor guideRows = labels.guideRows();
        Tensor guideColumns = labels.guideColumns();
        return guideRows == null || guideColumns == null
                ? pairing
                : guided(pairing, guideRows, guideColumns, limitRows, limitColumns);
    }

    private static void requireCount(String what, int actual, int expected) {
        if (actual != expected) {
            throw new ShapeException("expected " + expected + " " + what + ", got " + actual);
        }
    }

    private Pairing guided(Pairing pairing, Tensor rows, Tensor columns, boolean limitRows, boolean limitColumns) {
        if (rows.shape().rank() != 2
                || columns.shape().rank() != 2
                || rows.dim(1) != columns.dim(1)
                || rows.dim(0) != pairing.n()
                || columns.dim(0) != pairing.m()) {
            throw new ShapeException("expected representations of the guide of shapes [" + pairing.n() + ", e] and ["
                    + pairing.m() + ", e], got " + rows + " and " + columns);
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
                double limit = ROUNDING + (relative ? similarity * (1 - guideMargin) : similarity - guideMargin);
                rowLimits[i] = limitRows ? limit : rowLimits[i];
                columnLimits[t] = limitColumns ? Math.min(columnLimits[t], limit) : columnLimits[t];
            }
        }
        return pairing.withGuide(new Pairing.Guide(rows, columns, rowLimits, columnLimits));
    }
}
