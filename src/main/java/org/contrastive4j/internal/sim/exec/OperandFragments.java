package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Type;

/** Which register of which lane holds which element of the operands of mma.sync and of wgmma's A. */
final class OperandFragments {
    private OperandFragments() {}

    /**
     * A, 16 x k, row after row. With g = lane / 4 and q = lane % 4: registers alternate rows g and g + 8, then go on
     * along k.
     */
    static TensorCore.Vector rows(TensorCore core, Warp warp, int[] registers, Type type, int k) {
        TensorCore.Vector vector = core.vector(16 * k);
        int per = 4 / type.bytes();
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < registers.length; v++) {
                int row = lane / 4 + 8 * (v % 2);
                for (int e = 0; e < per; e++) {
                    int column = per * (lane % 4) + e + 4 * per * (v / 2);
                    core.set(vector, row * k + column, element(warp.r[registers[v] + lane], e, type));
                }
            }
        }
        return vector;
    }

    /** B, k x 8, column after column. */
    static TensorCore.Vector columns(TensorCore core, Warp warp, int[] registers, Type type, int k) {
        TensorCore.Vector vector = core.vector(8 * k);
        int per = 4 / type.bytes();
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < registers.length; v++) {
                for (int e = 0; e < per; e++) {
                    int row = per * (lane % 4) + e + 4 * per * v;
                    core.set(vector, lane / 4 * k + row, element(warp.r[registers[v] + lane], e, type));
                }
            }
        }
        return vector;
    }

    static double element(long register, int index, Type type) {
        int n = type.bytes();
        return TensorCore.input(Numbers.mask(register >>> 8 * n * index, n), type);
    }
}
