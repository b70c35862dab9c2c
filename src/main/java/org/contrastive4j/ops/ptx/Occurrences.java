package org.contrastive4j.ops.ptx;

import java.util.Arrays;

/** Where each row of a table occurs among ids: grouped by row, in order within a row, long groups cut into pieces. */
final class Occurrences {
    /** Places of ids, those of a row together. */
    final int[] order;
    /** Rows that occur, rising. */
    final int[] targets;
    /** Of the pieces of each row that occurs, and the end. */
    final int[] groupStart;
    /** Of the places of each piece in {@link #order}, and the end. */
    final int[] pieceStart;
    final int groups;
    final int pieces;

    /**
     * @param ids in [0, rows)
     * @param most places of a piece
     */
    Occurrences(int[] ids, int rows, int most) {
        int[] end = new int[rows + 1];
        for (int id : ids) {
            end[id + 1]++;
        }
        for (int row = 0; row < rows; row++) {
            end[row + 1] += end[row];
        }
        order = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            order[end[ids[i]]++] = i; // turns the start of each group into its end
        }
        int[] rowsFound = new int[Math.min(rows, ids.length)];
        int[] firstPieces = new int[rowsFound.length + 1];
        int[] starts = new int[rowsFound.length + ids.length / most + 1];
        int group = 0;
        int piece = 0;
        for (int row = 0, from = 0; row < rows; from = end[row++]) {
            if (from < end[row]) {
                rowsFound[group++] = row;
                for (int at = from; at < end[row]; at += most) {
                    starts[piece++] = at;
                }
                firstPieces[group] = piece;
            }
        }
        starts[piece] = ids.length;
        groups = group;
        pieces = piece;
        targets = Arrays.copyOf(rowsFound, group);
        groupStart = Arrays.copyOf(firstPieces, group + 1);
        pieceStart = Arrays.copyOf(starts, piece + 1);
    }
}
