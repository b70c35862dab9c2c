package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;

/** alloca, stacksave and stackrestore: local memory whose size is known when the thread gets it. */
final class StackSteps {
    static final Map<String, Decoder> FAMILY =
            Map.of("alloca", StackSteps::allocate, "stacksave", StackSteps::save, "stackrestore", StackSteps::restore);

    private static final int ALIGNMENT = 8;

    private StackSteps() {}

    private static Step allocate(Instruction in, Operands o) {
        int d = o.destination(0);
        int size = o.source(1, Decoder.type(in));
        int alignment = o.count() > 2 ? Math.max(ALIGNMENT, o.natural(2)) : ALIGNMENT;
        o.linker().usesStack();
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long bytes = warp.r[size + lane];
                    long at = warp.stack().allocate(lane, bytes, alignment, warp.depth());
                    if (at < 0) {
                        throw warp.fault(
                                Fault.Kind.OUT_OF_BOUNDS,
                                this,
                                lane,
                                "alloca of " + bytes + " bytes, the stack of a thread has "
                                        + warp.stack().left(lane) + " of " + LocalStack.BYTES + " left");
                    }
                    warp.r[d + lane] = at;
                }
            }
        };
    }

    private static Step save(Instruction in, Operands o) {
        int d = o.destination(0);
        o.linker().usesStack();
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    warp.r[d + lane] = warp.stack().top(lane);
                }
            }
        };
    }

    private static Step restore(Instruction in, Operands o) {
        int from = o.source(0, Type.B64);
        o.linker().usesStack();
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    warp.stack().restore(lane, warp.r[from + lane]);
                }
            }
        };
    }
}
