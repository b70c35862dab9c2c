package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * What the lanes of a warp do together: shuffles, votes, matches, reductions.
 *
 * <p>Tested by {@code WarpConformanceTest}.
 */
final class WarpSteps {
    static final Map<String, Decoder> FAMILY = family();

    /** What a shuffle gives a lane that reads one that does not take part: a NaN, in place of any value. */
    private static final long UNDEFINED_VALUE = 0xFFFFFFFFL;

    private WarpSteps() {}

    private static Map<String, Decoder> family() {
        Map<String, Decoder> all = new HashMap<>();
        all.put("shfl", WarpSteps::shuffle);
        all.put("vote", WarpSteps::vote);
        all.put("match", WarpSteps::match);
        all.put("redux", WarpSteps::reduce);
        all.put("elect", WarpSteps::elect);
        all.put("activemask", (in, o) -> {
            int d = o.destination(0);
            return new Step() {
                @Override
                void run(Warp warp, int mask) {
                    for (int left = mask; left != 0; left &= left - 1) {
                        warp.r[d + Integer.numberOfTrailingZeros(left)] = mask & 0xFFFFFFFFL;
                    }
                }
            };
        });
        return all;
    }

    /** A step of all lanes that its member mask names; it runs once they are together. */
    abstract static class ConvergedStep extends Step {
        private final int members;

        ConvergedStep(int members) {
            this.members = members;
        }

        @Override
        final void run(Warp warp, int mask) {
            int first = Integer.numberOfTrailingZeros(mask);
            int named = (int) warp.r[members + first];
            for (int left = mask; left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                if ((int) warp.r[members + lane] != named && (named >>> lane & 1) != 0) {
                    throw warp.fault(
                            Fault.Kind.ILLEGAL,
                            this,
                            lane,
                            "lanes of one mask name different masks: 0x" + Integer.toHexString(named) + " and 0x"
                                    + Long.toHexString(warp.r[members + lane]));
                }
            }
            int group = 0;
            for (int left = mask; left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                group |= (int) warp.r[members + lane] == named ? 1 << lane : 0;
            }
            if (group != mask) { // groups with masks of their own, one after the other
                int rest = mask & ~group;
                if (warp.awaitMembers(this, group, named)) {
                    act(warp, group);
                    run(warp, rest);
                }
                return;
            }
            if (warp.awaitMembers(this, mask, named)) {
                act(warp, mask);
            }
        }

        abstract void act(Warp warp, int mask);
    }

    private static @Nullable Step shuffle(Instruction in, Operands o) {
        if (!in.has(".sync")) {
            return null;
        }
        Operand to = o.at(0);
        int d = o.destination(to instanceof Operand.Pair pair ? pair.first() : to);
        int p = to instanceof Operand.Pair pair ? o.predicateDestination(pair.second()) : -1;
        int a = o.source(1, Type.B32);
        int b = o.source(2, Type.B32);
        int c = o.source(3, Type.B32);
        String mode = Decoder.modifier(in, 1);
        int value = o.register(1);
        return new ConvergedStep(o.source(4, Type.B32)) {
            @Override
            public boolean mayReadInactiveLanes() {
                return true;
            }

            @Override
            void act(Warp warp, int mask) {
                long[] values = new long[Warp.LANES];
                int valid = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    int from = shuffleSource(mode, lane, (int) warp.r[b + lane], (int) warp.r[c + lane]);
                    int source = from < 0 ? lane : from;
                    values[lane] = (mask >>> source & 1) != 0 ? warp.r[a + source] : UNDEFINED_VALUE;
                    valid |= from >= 0 ? 1 << lane : 0;
                }
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    warp.r[d + lane] = values[lane];
                }
                if (p >= 0) {
                    Lanewise.set(warp, p, mask, valid);
                }
            }
        }.definedWhere((warp, mask, operands) -> {
            int defined = 0;
            int known = Lanewise.knownRegister(warp, value) & mask;
            for (int left = mask; left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                int from = shuffleSource(mode, lane, (int) warp.r[b + lane], (int) warp.r[c + lane]);
                defined |= (known >>> (from < 0 ? lane : from) & 1) << lane;
            }
            return defined;
        });
    }

    /** Returns the lane whose value a lane of a shuffle gets; -1 when that is outside its segment. */
    private static int shuffleSource(String mode, int lane, int by, int control) {
        int clamp = control & 31;
        int segment = control >>> 8 & 31;
        int least = lane & segment;
        int most = least | clamp & ~segment;
        int distance = by & 31;
        int from =
                switch (mode) {
                    case ".up" -> lane - distance;
                    case ".down" -> lane + distance;
                    case ".bfly" -> lane ^ distance;
                    default -> least | distance & ~segment;
                };
        boolean inside = mode.equals(".up") ? from >= most : from <= most;
        return inside ? from : -1;
    }

    private static @Nullable Step vote(Instruction in, Operands o) {
        if (!in.has(".sync")) {
            return null;
        }
        boolean ballot = in.has(".ballot");
        int d = ballot ? o.destination(0) : o.predicateDestination(o.at(0));
        int a = o.predicate(1);
        return new ConvergedStep(o.source(2, Type.B32)) {
            @Override
            void act(Warp warp, int mask) {
                int yes = Lanewise.test(warp, a) & mask;
                if (ballot) {
                    for (int left = mask; left != 0; left &= left - 1) {
                        warp.r[d + Integer.numberOfTrailingZeros(left)] = yes & 0xFFFFFFFFL;
                    }
                    return;
                }
                boolean result = in.has(".all") ? yes == mask : in.has(".any") ? yes != 0 : yes == mask || yes == 0;
                Lanewise.set(warp, d, mask, result ? -1 : 0);
            }
        };
    }

    private static Step match(Instruction in, Operands o) {
        Operand to = o.at(0);
        int d = o.destination(to instanceof Operand.Pair pair ? pair.first() : to);
        int p = to instanceof Operand.Pair pair ? o.predicateDestination(pair.second()) : -1;
        int a = o.source(1, Decoder.type(in));
        boolean all = in.has(".all");
        return new ConvergedStep(o.source(2, Type.B32)) {
            @Override
            void act(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    int same = 0;
                    for (int others = mask; others != 0; others &= others - 1) {
                        int other = Integer.numberOfTrailingZeros(others);
                        same |= warp.r[a + other] == warp.r[a + lane] ? 1 << other : 0;
                    }
                    warp.r[d + lane] = (all && same != mask ? 0 : same) & 0xFFFFFFFFL;
                    if (p >= 0) {
                        Lanewise.set(warp, p, 1 << lane, same == mask ? -1 : 0);
                    }
                }
            }
        };
    }

    private static @Nullable Step reduce(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type.bytes() != 4 || type.isFloat()) {
            return null;
        }
        int d = o.destination(0);
        int a = o.source(1, type);
        String operation = Decoder.modifier(in, 1);
        return new ConvergedStep(o.source(2, Type.B32)) {
            @Override
            void act(Warp warp, int mask) {
                long result = warp.r[a + Integer.numberOfTrailingZeros(mask)];
                for (int left = mask & mask - 1; left != 0; left &= left - 1) {
                    long next = warp.r[a + Integer.numberOfTrailingZeros(left)];
                    long x = Numbers.whole(result, type);
                    long y = Numbers.whole(next, type);
                    result = switch (operation) {
                                case ".add" -> x + y;
                                case ".min" -> Math.min(x, y);
                                case ".max" -> Math.max(x, y);
                                case ".and" -> x & y;
                                case ".or" -> x | y;
                                default -> x ^ y;
                            }
                            & 0xFFFFFFFFL;
                }
                for (int left = mask; left != 0; left &= left - 1) {
                    warp.r[d + Integer.numberOfTrailingZeros(left)] = result;
                }
            }
        };
    }

    private static @Nullable Step elect(Instruction in, Operands o) {
        if (!(o.at(0) instanceof Operand.Pair pair)) {
            return null;
        }
        int d = o.destination(pair.first());
        int p = o.predicateDestination(pair.second());
        return new ConvergedStep(o.source(1, Type.B32)) {
            @Override
            void act(Warp warp, int mask) {
                int leader = Integer.numberOfTrailingZeros(mask);
                for (int left = mask; left != 0; left &= left - 1) {
                    warp.r[d + Integer.numberOfTrailingZeros(left)] = leader;
                }
                Lanewise.set(warp, p, mask, 1 << leader);
            }
        };
    }
}
