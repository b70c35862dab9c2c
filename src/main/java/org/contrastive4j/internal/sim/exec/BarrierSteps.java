package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Barriers of warps, blocks and clusters, and fences.
 *
 * <p>Tested by {@code BarrierConformanceTest}.
 */
final class BarrierSteps {
    static final Map<String, Decoder> FAMILY = family();

    private BarrierSteps() {}

    private static Map<String, Decoder> family() {
        Map<String, Decoder> all = new HashMap<>();
        all.put("bar", BarrierSteps::barrier);
        all.put("barrier", (in, o) -> in.has(".cluster") ? cluster(in) : barrier(in, o));
        all.put("membar", (in, o) -> fence(Observer.Fence.MEMORY, o));
        all.put("fence", BarrierSteps::fence);
        return all;
    }

    private static Step fence(Instruction in, Operands o) {
        if (in.has(".proxy")) {
            boolean async = in.modifiers().stream().anyMatch(modifier -> modifier.startsWith(".async"));
            return async ? fence(Observer.Fence.PROXY_ASYNC, o) : ControlSteps.nothing();
        }
        return in.has(".mbarrier_init") ? fence(Observer.Fence.MBARRIER_INIT, o) : fence(Observer.Fence.MEMORY, o);
    }

    private static Step fence(Observer.Fence fence, Operands o) {
        if (fence == Observer.Fence.MEMORY) {
            o.linker().communicatesAcrossBlocks();
        }
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                MemoryOrder.fence(warp, mask, fence);
            }
        };
    }

    private static Step barrier(Instruction in, Operands o) {
        if (in.has(".warp")) {
            return warp(o);
        }
        boolean reduces = in.has(".red");
        boolean popc = in.has(".popc");
        boolean all = in.has(".and");
        int operand = reduces ? 1 : 0;
        int d = !reduces ? -1 : popc ? o.destination(0) : o.predicateDestination(o.at(0));
        int id = o.source(operand, Type.U32);
        int last = o.count() - (reduces ? 1 : 0);
        int count = last > operand + 1 ? o.source(operand + 1, Type.U32) : -1;
        int truth = reduces ? o.predicate(o.count() - 1) : 0;
        boolean aligned = in.opcode().equals("bar") || in.has(".aligned");
        boolean arrives = in.has(".arrive");
        if (arrives && count < 0) {
            throw in.error("bar.arrive needs a thread count");
        }
        return new Step() {
            @Override
            Participation participation() {
                return aligned ? Participation.CONVERGED : Participation.ANY;
            }

            @Override
            void run(Warp warp, int mask) {
                int lane = Integer.numberOfTrailingZeros(mask);
                long number = warp.r[id + lane];
                if (number >= Cta.MOST_BARRIERS) {
                    throw warp.fault(
                            Fault.Kind.BARRIER, this, lane, "barrier " + number + ", there are " + Cta.MOST_BARRIERS);
                }
                NamedBarrier barrier = warp.cta.barrier((int) number);
                NamedBarrier.Generation generation = barrier.generation();
                MemoryOrder.converge(warp, mask);
                MemoryOrder.release(warp, mask, generation);
                int trues = reduces ? Integer.bitCount(Lanewise.test(warp, truth) & mask) : 0;
                barrier.arrive(warp, this, mask, count < 0 ? 0 : (int) warp.r[count + lane], count >= 0, trues);
                if (!arrives) {
                    warp.block(new BarrierWait(
                            warp, mask, barrier, generation, reduces ? () -> result(warp, mask, generation) : null));
                }
            }

            private void result(Warp warp, int mask, NamedBarrier.Generation generation) {
                if (popc) {
                    for (int left = mask; left != 0; left &= left - 1) {
                        warp.r[d + Integer.numberOfTrailingZeros(left)] = generation.trues();
                    }
                } else {
                    Lanewise.set(warp, d, mask, (all ? generation.all() : generation.trues() > 0) ? -1 : 0);
                }
            }
        };
    }

    /** Lanes that wait until the others have come to a barrier. */
    private record BarrierWait(
            Warp warp,
            int mask,
            NamedBarrier barrier,
            NamedBarrier.Generation generation,
            @Nullable Runnable result) implements Wait {
        @Override
        public boolean isReady() {
            return generation.isDone();
        }

        @Override
        public void finish(boolean inTime) {
            MemoryOrder.acquire(warp, mask, generation);
            if (result != null) {
                result.run();
            }
        }

        @Override
        public String describe() {
            return "barrier " + barrier.id() + " (" + barrier.arrived() + " of " + barrier.expected() + " threads)";
        }
    }

    private static Step warp(Operands o) {
        return new WarpSteps.ConvergedStep(o.source(0, Type.B32)) {
            @Override
            boolean isWarpBarrier() {
                return true;
            }

            @Override
            void act(Warp warp, int mask) {
                MemoryOrder.converge(warp, mask);
            }
        };
    }

    private static Step cluster(Instruction in) {
        boolean aligned = in.has(".aligned");
        boolean relaxed = in.has(".relaxed");
        if (in.has(".arrive")) {
            return new Step() {
                @Override
                Participation participation() {
                    return aligned ? Participation.CONVERGED : Participation.ANY;
                }

                @Override
                void run(Warp warp, int mask) {
                    warp.clusterArrivals = warp.cta.cluster().arrivals();
                    MemoryOrder.converge(warp, mask);
                    if (!relaxed) {
                        MemoryOrder.release(warp, mask, warp.clusterArrivals);
                    }
                    warp.cta.cluster().arrive(Integer.bitCount(mask));
                }
            };
        }
        return new Step() {
            @Override
            Participation participation() {
                return aligned ? Participation.CONVERGED : Participation.ANY;
            }

            @Override
            void run(Warp warp, int mask) {
                Cluster.NamedArrivals arrivals = warp.clusterArrivals;
                if (arrivals == null) {
                    throw warp.fault(
                            Fault.Kind.BARRIER,
                            this,
                            Integer.numberOfTrailingZeros(mask),
                            "barrier.cluster.wait without barrier.cluster.arrive");
                }
                warp.block(new Wait() {
                    @Override
                    public boolean isReady() {
                        return arrivals.done;
                    }

                    @Override
                    public void finish(boolean inTime) {
                        MemoryOrder.acquire(warp, mask, arrivals);
                    }

                    @Override
                    public String describe() {
                        return "the barrier of the cluster (" + arrivals.lanes + " threads arrived)";
                    }
                });
            }
        };
    }
}
