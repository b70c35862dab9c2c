package org.contrastive4j.internal.sim.exec;

/**
 * Steps that do the same to every lane on its own: d = f(a), f(a, b), f(a, b, c). A whole warp, the common case, goes
 * without its mask.
 *
 * <p>Tested by {@code IntegerTest}.
 */
final class Lanewise {
    interface One {
        long of(long a);
    }

    interface Two {
        long of(long a, long b);
    }

    interface Three {
        long of(long a, long b, long c);
    }

    private Lanewise() {}

    static Step one(int d, int a, One f) {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                long[] r = warp.r;
                if (mask == Warp.ALL) {
                    for (int lane = 0; lane < Warp.LANES; lane++) {
                        r[d + lane] = f.of(r[a + lane]);
                    }
                    return;
                }
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    r[d + lane] = f.of(r[a + lane]);
                }
            }
        };
    }

    static Step two(int d, int a, int b, Two f) {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                long[] r = warp.r;
                if (mask == Warp.ALL) {
                    for (int lane = 0; lane < Warp.LANES; lane++) {
                        r[d + lane] = f.of(r[a + lane], r[b + lane]);
                    }
                    return;
                }
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    r[d + lane] = f.of(r[a + lane], r[b + lane]);
                }
            }
        };
    }

    static Step three(int d, int a, int b, int c, Three f) {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                long[] r = warp.r;
                if (mask == Warp.ALL) {
                    for (int lane = 0; lane < Warp.LANES; lane++) {
                        r[d + lane] = f.of(r[a + lane], r[b + lane], r[c + lane]);
                    }
                    return;
                }
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    r[d + lane] = f.of(r[a + lane], r[b + lane], r[c + lane]);
                }
            }
        };
    }

    /** Mask of the lanes for which a predicate number (negative: negated) is true. */
    static int test(Warp warp, int predicate) {
        return predicate >= 0 ? warp.p[predicate] : ~warp.p[~predicate];
    }

    /** Mask of the lanes for which a predicate number was written. */
    static int known(Warp warp, int predicate) {
        return warp.predicatesWritten()[predicate >= 0 ? predicate : ~predicate];
    }

    /** Mask of the lanes for which a register, or a constant (-1), was written. */
    static int knownRegister(Warp warp, int register) {
        return register < 0 ? -1 : warp.written()[register];
    }

    /** Where {@code x and y} (or {@code x or y}) is defined: one operand may decide alone. */
    static int knownLogic(boolean and, int x, int knownX, int y, int knownY) {
        int deciding = and ? knownX & ~x | knownY & ~y : knownX & x | knownY & y;
        return knownX & knownY | deciding;
    }

    /** Sets the bits of a predicate for the lanes in the mask. */
    static void set(Warp warp, int predicate, int mask, int bits) {
        warp.p[predicate] = warp.p[predicate] & ~mask | bits & mask;
    }
}
