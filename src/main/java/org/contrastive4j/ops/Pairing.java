package org.contrastive4j.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.tensor.Tensor;

/**
 * Which pairs of a block of rows and columns are positive, negative or ignored, without a table of all pairs.
 *
 * <p>In this order: the target of a row is positive; columns with the row's id are positive or ignored, as {@link
 * SameId} says; columns outside the row's window are ignored; pairs that the guide finds too similar are ignored; all
 * others are negative. Memory: O(n + m).
 */
public final class Pairing {
    /** A row without a target. */
    public static final int NONE = -1;

    private static final int[] NOTHING = {};

    /** What columns with the id of a row, other than its target, are. */
    public enum SameId {
        POSITIVE,
        IGNORED
    }

    /**
     * A guide model's view: pair (i, j) is ignored when &lt;rows_i, columns_j&gt; is larger than rowLimit_i or than
     * columnLimit_j.
     *
     * @param rows [n, e], the dtype of the backend; read
     * @param columns [m, e]; read
     * @param rowLimits n numbers
     * @param columnLimits m numbers
     */
    public record Guide(Tensor rows, Tensor columns, double[] rowLimits, double[] columnLimits) {}

    private final int n;
    private final int m;
    private final int[] targets;
    private final int[] rowIds;
    private final int[] columnIds;
    private final SameId sameId;
    private final int window;
    private final int cycle;
    private final Guide guide;
    private final int[][] same;

    private Pairing(
            int n,
            int m,
            int[] targets,
            int[] rowIds,
            int[] columnIds,
            SameId sameId,
            int window,
            int cycle,
            Guide guide) {
        this.n = n;
        this.m = m;
        this.targets = targets;
        this.rowIds = rowIds;
        this.columnIds = columnIds;
        this.sameId = sameId;
        this.window = window;
        this.cycle = cycle;
        this.guide = guide;
        this.same = rowIds == null ? null : sameColumns(rowIds, columnIds);
    }

    /**
     * Row i belongs to column targets[i].
     *
     * @param targets column of each row, {@link #NONE} for none
     * @throws ShapeException when there is no row or column, or a target is not a column
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
        return new Pairing(targets.length, m, targets.clone(), null, null, SameId.IGNORED, 0, m, null);
    }

    /** Row i belongs to column i; m &gt;= n. */
    public static Pairing diagonal(int n, int m) {
        Checks.that(
                m >= n,
                "pairing",
                n + " rows but only " + m + " columns; give targets, or at least as many columns as rows");
        int[] targets = new int[n];
        Arrays.setAll(targets, i -> i);
        return of(m, targets);
    }

    /** The same with ids: equal ids of a row and a column make the pair positive or ignored. */
    public Pairing withIds(int[] rows, int[] columns, SameId equal) {
        Checks.that(
                rows.length == n && columns.length == m,
                "pairing",
                rows.length + " and " + columns.length + " ids for " + n + " rows and " + m + " columns");
        return new Pairing(
                n, m, targets, rows.clone(), columns.clone(), Objects.requireNonNull(equal), window, cycle, guide);
    }

    /**
     * The same with at most {@code negatives} negatives per row: the columns next after its target, cyclically. In a
     * shuffled batch that is a random choice, and each column is a negative as often as each row has some.
     *
     * @param negatives at least 1; 0 for all
     */
    public Pairing withWindow(int negatives) {
        Checks.that(negatives >= 0, "pairing", negatives + " negatives per row, expected 1 or more, or 0 for all");
        for (int i = 0; i < n && negatives > 0; i++) {
            Checks.that(targets[i] != NONE, "pairing", "row " + i + " has no target to count its negatives from");
        }
        return new Pairing(n, m, targets, rowIds, columnIds, sameId, negatives, cycle, guide);
    }

    /** The same with a guide; shapes are checked where it is used. */
    public Pairing withGuide(Guide newGuide) {
        return new Pairing(n, m, targets, rowIds, columnIds, sameId, window, cycle, newGuide);
    }

    /**
     * Rows [rowFrom, rowTo) and columns [columnFrom, columnTo) by themselves: a target outside is no target here, its
     * window stays.
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
                part);
    }

    /**
     * Rows and columns as n + m members of one set, each against all of them: row i belongs to member n + target(i) and
     * the other way round; a member is ignored by itself, and by all with its id.
     *
     * @param joined the guide of the set, null exactly when there is none here; its limits count as they are
     * @throws ShapeException when two rows have one target, or there is a window
     */
    public Pairing joined(Guide joined) {
        Checks.that(window == 0, "pairing", "a window of " + window + " negatives cannot be joined");
        int[] partners = new int[n + m];
        Arrays.fill(partners, NONE);
        for (int i = 0; i < n; i++) {
            if (target(i) != NONE) {
                Checks.that(
                        partners[n + targets[i]] == NONE,
                        "pairing",
                        "row " + i + " has target " + targets[i] + " like a row before it, expected one of its own");
                partners[i] = n + targets[i];
                partners[n + targets[i]] = i;
            }
        }
        int[] ids = new int[n + m];
        Arrays.setAll(ids, k -> rowIds == null ? k : k < n ? rowIds[k] : columnIds[k - n]);
        return new Pairing(n + m, n + m, partners, ids, ids, SameId.IGNORED, 0, n + m, joined);
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
            same[i] = arrays.getOrDefault(rowIds[i], NOTHING);
        }
        return same;
    }

    public int n() {
        return n;
    }

    public int m() {
        return m;
    }

    /** The column that row i belongs to, {@link #NONE} when there is none among these columns. */
    public int target(int i) {
        return hasTarget(i) ? targets[i] : NONE;
    }

    private boolean hasTarget(int i) {
        return targets[i] >= 0 && targets[i] < m;
    }

    /** Columns with the id of row i, ascending. */
    public int[] same(int i) {
        return same == null ? NOTHING : same[i];
    }

    /** Whether columns with the row's id are positives, not only its target. */
    public boolean sameIsPositive() {
        return same != null && sameId == SameId.POSITIVE;
    }

    public boolean hasIds() {
        return same != null;
    }

    /** Negatives per row, 0 for all. */
    public int window() {
        return window;
    }

    /** Columns that a window goes round: those of the whole that this may be a block of. */
    public int cycle() {
        return cycle;
    }

    /** The column that the window of row i counts from, its target: here it may be none of these columns. */
    public int origin(int i) {
        return targets[i];
    }

    /** The id of row i; only where there are ids. */
    public int rowId(int i) {
        return rowIds[i];
    }

    /** The id of column j; only where there are ids. */
    public int columnId(int j) {
        return columnIds[j];
    }

    /** Whether column j is outside the window of row i: neither its target nor one of the columns next after it. */
    public boolean isOutside(int i, int j) {
        return window > 0 && Math.floorMod(j - targets[i], cycle) > window;
    }

    /** The guide, or null. */
    public Guide guide() {
        return guide;
    }

    public boolean isPositive(int i, int j) {
        return j == targets[i] || sameIsPositive() && rowIds[i] == columnIds[j];
    }

    /**
     * Whether pair (i, j) is neither positive nor negative, for a similarity of {@code guided} (any number without a
     * guide).
     */
    public boolean isIgnored(int i, int j, double guided) {
        if (isPositive(i, j)) {
            return false;
        }
        return same != null && rowIds[i] == columnIds[j]
                || isOutside(i, j)
                || guide != null && (guided > guide.rowLimits[i] || guided > guide.columnLimits[j]);
    }

    /**
     * Whether each row has one positive, its target, and every other pair is negative: what {@link PairwiseOps#infoNce}
     * computes.
     */
    public boolean isPlain() {
        return same == null
                && window == 0
                && guide == null
                && Arrays.stream(targets).allMatch(t -> t >= 0 && t < m);
    }

    /** The target of each row, {@link #NONE} for none. */
    public int[] targets() {
        int[] own = new int[n];
        Arrays.setAll(own, this::target);
        return own;
    }
}
