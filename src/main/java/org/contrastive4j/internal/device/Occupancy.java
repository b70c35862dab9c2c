package org.contrastive4j.internal.device;

/**
 * Blocks of a kernel that fit on one multiprocessor together, by arithmetic alone.
 *
 * <p>Each of warps, blocks, registers and shared memory gives a bound. Registers are given to a warp in units of 256
 * and lie in four parts, one for each scheduler; shared memory is given to a block in units of 128 bytes, and 1 KiB
 * of it goes to the system. Source: the occupancy calculator of the CUDA toolkit.
 */
public final class Occupancy {
    private static final int WARP = 32;
    private static final int PARTS = 4;
    private static final int REGISTERS = 65_536;
    private static final int REGISTER_UNIT = 256;
    private static final int REGISTERS_PER_THREAD = 255;
    private static final int SHARED_UNIT = 128;
    private static final int SHARED_RESERVED = 1024;

    private Occupancy() {}

    private record Limits(int warps, int blocks, int sharedBytes) {}

    private static Limits limits(int architecture) {
        return switch (architecture) {
            case 80 -> new Limits(64, 32, 164 << 10);
            case 86 -> new Limits(48, 16, 100 << 10);
            case 89 -> new Limits(48, 24, 100 << 10);
            case 90 -> new Limits(64, 32, 228 << 10);
            default ->
                throw new IllegalArgumentException(
                        "limits of sm_" + architecture + " are not known, expected one of 80, 86, 89 and 90");
        };
    }

    /**
     * The smallest of the bounds; 0 when not even one block fits.
     *
     * @param architecture 80, 86, 89 or 90
     * @param registers per thread
     * @param sharedBytes static and dynamic shared memory of a block
     * @param threads of a block
     */
    public static int blocksPerMultiprocessor(int architecture, int registers, int sharedBytes, int threads) {
        Limits limits = limits(architecture);
        if (registers < 0 || registers > REGISTERS_PER_THREAD || sharedBytes < 0 || threads < 1 || threads > 1024) {
            throw new IllegalArgumentException("no block has " + threads + " threads of " + registers
                    + " registers and "
                    + sharedBytes + " shared bytes; expected 1 to 1024 threads, 0 to 255 registers, 0 or more bytes");
        }
        int warps = (threads + WARP - 1) / WARP;
        int byWarps = Math.min(limits.blocks, limits.warps / warps);
        int byShared = limits.sharedBytes / (roundUp(sharedBytes, SHARED_UNIT) + SHARED_RESERVED);
        return Math.min(Math.min(byWarps, byShared), byRegisters(registers, warps));
    }

    /**
     * Most warps that are on one multiprocessor together.
     *
     * @param architecture 80, 86, 89 or 90
     */
    public static int warpsPerMultiprocessor(int architecture) {
        return limits(architecture).warps;
    }

    private static int byRegisters(int registers, int warps) {
        int perWarp = Math.max(REGISTER_UNIT, roundUp(registers * WARP, REGISTER_UNIT));
        if (perWarp * roundUp(warps, PARTS) > REGISTERS) {
            return 0; // a block's share of each part is that of the part with most of its warps
        }
        return REGISTERS / PARTS / perWarp * PARTS / warps;
    }

    private static int roundUp(int value, int unit) {
        return (int) (((long) value + unit - 1) / unit * unit);
    }
}
