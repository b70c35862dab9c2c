package org.contrastive4j.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Classifies the pairs of n rows and m columns as positive, negative or ignored, without a table of all pairs.
 *
 * <p>The first rule that applies decides: the target of a row is positive; columns with the id of the row are
 * positive or ignored, see {@link SameId}; columns outside the window of the row are ignored; pairs that the guide
 * finds too similar are ignored; all others are negative. Memory: O(n + m).
 *
 * <p>Tested by {@code CpuPairTileOpsTest}.
 */
public final class Pairing {
    /** The target of a row that has none. */
    public static final int NONE = -1;

    private static final int[] EMPTY = {};

    /** The class of columns that have the id of a row and are not its target. */
    public enum SameId {
        /** They are further positives. */
        POSITIVE,
        /** They are neither positives nor negatives. */
        IGNORED
    }

    /**
     * Similarities by a guide model: pair (i, j) is ignored if &lt;rows_i, columns_j&gt; exceeds rowLimit_i or
     * columnLimit_j.
     *
     * @param rows [n, e] of the type of parameters; read
     * @param columns [m, e] of the type of parameters; read
     * @param rowLimits one number for each row
     * @param columnLimits one number for each column
     */
    public record Guide(Tensor rows, Tensor columns, double[] rowLimits, double[] columnLimits) {}

    private final int n;
    private final int m;
    private final int[] targets;
    private final int @Nullable [] rowIds;
    private final int @Nullable [] columnIds;
    private final SameId sameId;
    private final int window;
    private final int cycle;
    private final @Nullable Guide guide;
    private final int @Nullable [][] same;
    private final boolean fixed;
    private final @Nullable OnDevice onDevice;

    /**
     * What a backend with a queue reads from its own memory, so that a captured graph reads it again at every replay.
     *
     * @param rowIds [n] I32, or null
     * @param columnIds [m] I32, or null
     * @param window [1] I32, or null
     */
    public record OnDevice(
            @Nullable Tensor rowIds,
            @Nullable Tensor columnIds,
            @Nullable Tensor window) {}

    private Pairing(
            int n,
            int m,
            int[] targets,
            int @Nullable [] rowIds,
            int @Nullable [] columnIds,
            SameId sameId,
            int window,
            int cycle,
            @Nullable Guide guide,
            boolean fixed) {
        this(n, m, targets, rowIds, columnIds, sameId, window, cycle, guide, fixed, null);
    }

    private Pairing(
            int n,
            int m,
            int[] targets,
            int @Nullable [] rowIds,
            int @Nullable [] columnIds,
            SameId sameId,
            int window,
            int cycle,
            @Nullable Guide guide,
            boolean fixed,
            @Nullable OnDevice onDevice) {
        this.onDevice = onDevice;
        this.n = n;
        this.m = m;
        this.targets = targets;
        this.rowIds = rowIds;
        this.columnIds = columnIds;
        this.sameId = sameId;
        this.window = window;
        this.cycle = cycle;
        this.guide = guide;
        this.fixed = fixed;
        this.same = rowIds == null || columnIds == null ? null : sameColumns(rowIds, columnIds);
    }

    /**
     * Returns a pairing in which row i has the positive targets[i] and all other pairs are negative.
     *
     * @param m number of columns
     * @param targets column of each row, {@link #NONE} if it has none
     * @return the pairing
     * @throws ShapeException if there is no row or column, or a target is not a column
     */
    public static Pairing of(int m, int[] targets) {
        Checks.that(
                targets.length >= 1 && m >= 1,
                "pairing",
                targets.length + " rows and " + m + " columns, expected at least one of each");
        for (int i = 0; i < targets.length; i++) {
            Checks.that(
                    targets[i] >= NONE && targets[i] < m,
                    "pairing",
                    "target of row " + i + " is " + targets[i] + ", expected 0 to " + (m - 1) + ", or -1 for none");
        }
        return new Pairing(targets.length, m, targets.clone(), null, null, SameId.IGNORED, 0, m, null, false);
    }

    /**
     * Returns a pairing in which row i has the positive i and all other pairs are negative.
     *
     * @param n number of rows
     * @param m number of columns, at least n
     * @return the pairing
     * @throws ShapeException if m is less than n, or there is no row
     */
    public static Pairing diagonal(int n, int m) {
        Checks.that(
                m >= n,
                "pairing",
                n + " rows but only " + m + " columns; give targets, or at least as many columns as rows");
        int[] targets = new int[n];
        Arrays.setAll(targets, i -> i);
        Checks.that(n >= 1, "pairing", n + " rows and " + m + " columns, expected at least one of each");
        return new Pairing(n, m, targets, null, null, SameId.IGNORED, 0, m, null, true);
    }

    /**
     * Returns this pairing with ids: equal ids of a row and a column make the pair positive or ignored.
     *
     * @param rows id of each row
     * @param columns id of each column
     * @param equal what pairs of equal ids are
     * @return the new pairing
     * @throws ShapeException if a count differs
     */
    public Pairing withIds(int[] rows, int[] columns, SameId equal) {
        Checks.that(
                rows.length == n && columns.length == m,
                "pairing",
                rows.length + " and " + columns.length + " ids for " + n + " rows and " + m + " columns");
        return new Pairing(
                n,
                m,
                targets,
                rows.clone(),
                columns.clone(),
                Objects.requireNonNull(equal),
                window,
                cycle,
                guide,
                false);
    }

    /**
     * Returns this pairing with at most {@code negatives} negatives per row: the next columns after its target,
     * cyclically. In a shuffled batch this is a random choice, and every column is a negative equally often.
     *
     * @param negatives at least 1; 0 for all
     * @return the new pairing
     * @throws ShapeException if the number is negative, or a row has no target
     */
    public Pairing withWindow(int negatives) {
        Checks.that(negatives >= 0, "pairing", negatives + " negatives per row, expected 1 or more, or 0 for all");
        for (int i = 0; i < n && negatives > 0; i++) {
            Checks.that(targets[i] != NONE, "pairing", "row " + i + " has no target to count its negatives from");
        }
        return new Pairing(n, m, targets, rowIds, columnIds, sameId, negatives, cycle, guide, fixed);
    }

    /**
     * Returns this pairing with ids or a window that are read from tensors. Only a backend with a queue computes it.
     *
     * @param tensors ids of both sides or of neither; a window only if this pairing has one
     * @param equal what pairs of equal ids are
     * @return the new pairing
     */
    public Pairing onDevice(OnDevice tensors, SameId equal) {
        return new Pairing(n, m, targets, rowIds, columnIds, equal, window, cycle, guide, fixed, tensors);
    }

    /**
     * Returns what is read from tensors.
     *
     * @return null if nothing is
     */
    public @Nullable OnDevice onDevice() {
        return onDevice;
    }

    /**
     * Returns this pairing with another guide, whose shapes are checked by the operation that uses it.
     *
     * @param newGuide the guide, or null for none
     * @return the new pairing
     */
    public Pairing withGuide(@Nullable Guide newGuide) {
        return new Pairing(
                n, m, targets, rowIds, columnIds, sameId, window, cycle, newGuide, fixed && newGuide == null);
    }

    /**
     * Returns the pairing of a block of rows and columns. A target outside the block is no target in it; windows
     * stay.
     *
     * @param rowFrom first row
     * @param rowTo row after the last
     * @param columnFrom first column
     * @param columnTo column after the last
     * @return the pairing of the block
     */
    public Pairing block(int rowFrom, int rowTo, int columnFrom, int columnTo) {
        int[] own = Arrays.copyOfRange(targets, rowFrom, rowTo);
        for (int i = 0; i < own.length; i++) {
            own[i] = hasTarget(rowFrom + i) || window > 0 ? own[i] - columnFrom : NONE;
        }
        Guide part = guide == null
                ? null
                : new Guide(
                        guide.rows.rows(rowFrom, rowTo),
                        guide.columns.rows(columnFrom, columnTo),
                        Arrays.copyOfRange(guide.rowLimits, rowFrom, rowTo),
                        Arrays.copyOfRange(guide.columnLimits, columnFrom, columnTo));
        return new Pairing(
                rowTo - rowFrom,
                columnTo - columnFrom,
                own,
                rowIds == null ? null : Arrays.copyOfRange(rowIds, rowFrom, rowTo),
                columnIds == null ? null : Arrays.copyOfRange(columnIds, columnFrom, columnTo),
                sameId,
                window,
                cycle,
                part,
                false);
    }

    /**
     * Returns the pairing of rows and columns as n + m members of one set, each paired with all: row i and member n +
     * target(i) are each other's targets. A member ignores itself and all members with its id.
     *
     * @param joined guide of the set with its own limits; null if and only if this pairing has no guide
     * @return the pairing of the set
     * @throws ShapeException if two rows have one target, or there is a window
     */
    public Pairing joined(@Nullable Guide joined) {
        Checks.that(window == 0, "pairing", "a window of " + window + " negatives cannot be joined");
        int[] partners = new int[n + m];
        Arrays.fill(partners, NONE);
        for (int i = 0; i < n; i++) {
            if (target(i) != NONE) {
                Checks.that(
                        partners[n + targets[i]] == NONE,
                        "pairing",
                        "row " + i + " has target " + targets[i] + " like an earlier row, expected distinct targets");
                partners[i] = n + targets[i];
                partners[n + targets[i]] = i;
            }
        }
        int[] ids = new int[n + m];
        Arrays.setAll(ids, k -> !hasIds() ? k : k < n ? rowId(k) : columnId(k - n));
        return new Pairing(n + m, n + m, partners, ids, ids, SameId.IGNORED, 0, n + m, joined, fixed && joined == null);
    }

    private static int[][] sameColumns(int[] rowIds, int[] columnIds) {
        Map<Integer, List<Integer>> byId = new HashMap<>();
        for (int j = 0; j < columnIds.length; j++) {
            byId.computeIfAbsent(columnIds[j], id -> new ArrayList<>()).add(j);
        }
        Map<Integer, int[]> arrays = new HashMap<>();
        byId.forEach((id, columns) ->
                arrays.put(id, columns.stream().mapToInt(Integer::intValue).toArray()));
        int[][] same = new int[rowIds.length][];
        for (int i = 0; i < same.length; i++) {
            same[i] = arrays.getOrDefault(rowIds[i], EMPTY);
        }
        return same;
    }

    /**
     * Returns the number of rows.
     *
     * @return n
     */
    public int n() {
        return n;
    }

    /**
     * Returns the number of columns.
     *
     * @return m
     */
    public int m() {
        return m;
    }

    /**
     * Returns the column that row i belongs to, {@link #NONE} if it has no target among these columns.
     *
     * @param i index of the row
     * @return the column
     */
    public int target(int i) {
        return hasTarget(i) ? targets[i] : NONE;
    }

    private boolean hasTarget(int i) {
        return targets[i] >= 0 && targets[i] < m;
    }

    /**
     * Returns the columns with the id of row i, ascending.
     *
     * @param i index of the row
     * @return their indices
     */
    public int[] same(int i) {
        return same == null ? EMPTY : same[i];
    }

    /**
     * Returns whether columns with the id of a row are positives, in addition to its target.
     *
     * @return false without ids
     */
    public boolean sameIsPositive() {
        return hasIds() && sameId == SameId.POSITIVE;
    }

    /**
     * Returns whether rows and columns have ids.
     *
     * @return true after {@link #withIds}
     */
    public boolean hasIds() {
        return same != null || onDevice != null && onDevice.rowIds != null;
    }

    /**
     * Returns the largest number of negatives per row, 0 for all.
     *
     * @return number of columns after the target of a row
     */
    public int window() {
        return window;
    }

    /**
     * Returns the number of columns after which a window wraps around: those of the whole that this may be a block
     * of.
     *
     * @return number of columns
     */
    public int cycle() {
        return cycle;
    }

    /**
     * Returns the column that the window of row i counts from, its target. In a block it may lie outside.
     *
     * @param i index of the row
     * @return the column
     */
    public int origin(int i) {
        return targets[i];
    }

    /**
     * Returns the id of row i; requires {@link #hasIds}.
     *
     * @param i index of the row
     * @return the id
     */
    public int rowId(int i) {
        return idsOf(rowIds)[i];
    }

    /**
     * Returns the id of column j; requires {@link #hasIds}.
     *
     * @param j index of the column
     * @return the id
     */
    public int columnId(int j) {
        return idsOf(columnIds)[j];
    }

    private static int[] idsOf(int @Nullable [] ids) {
        return Objects.requireNonNull(ids, "rows and columns have no ids");
    }

    /**
     * Returns whether column j is outside the window of row i: neither its target nor one of the next columns.
     *
     * @param i index of the row
     * @param j index of the column
     * @return whether it is outside
     */
    public boolean isOutside(int i, int j) {
        return window > 0 && Math.floorMod(j - targets[i], cycle) > window;
    }

    /**
     * Returns the guide that limits the negatives.
     *
     * @return the guide, or null
     */
    public @Nullable Guide guide() {
        return guide;
    }

    /**
     * Returns whether pair (i, j) is positive.
     *
     * @param i index of the row
     * @param j index of the column
     * @return whether it is positive
     */
    public boolean isPositive(int i, int j) {
        return j == targets[i] || sameIsPositive() && rowId(i) == columnId(j);
    }

    /**
     * Returns whether pair (i, j) is neither positive nor negative.
     *
     * @param i index of the row
     * @param j index of the column
     * @param guided its similarity by the guide; any number without one
     * @return whether it is ignored
     */
    public boolean isIgnored(int i, int j, double guided) {
        if (isPositive(i, j)) {
            return false;
        }
        return same != null && rowId(i) == columnId(j)
                || isOutside(i, j)
                || guide != null && (guided > guide.rowLimits[i] || guided > guide.columnLimits[j]);
    }

    /**
     * Returns whether each row has one positive, its target, and all other pairs are negative, as {@link
     * PairwiseOps#infoNce} assumes.
     *
     * @return true if no rule but the targets applies
     */
    public boolean isPlain() {
        return !hasIds()
                && window == 0
                && guide == null
                && Arrays.stream(targets).allMatch(t -> t >= 0 && t < m);
    }

    /**
     * Returns whether the numbers of rows and columns determine this pairing, apart from its window: all batches of
     * this shape then have it.
     *
     * @return true for a diagonal without ids on the host and without a guide
     */
    public boolean isFixed() {
        return fixed;
    }

    /**
     * Returns the target of each row, {@link #NONE} where it has none.
     *
     * @return n columns; a new array
     */
    public int[] targets() {
        int[] own = new int[n];
        Arrays.setAll(own, this::target);
        return own;
    }
}
