package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Branches, calls, exits, and what only a scheduler or profiler would notice.
 *
 * <p>Tested by {@code WarpConformanceTest}.
 */
final class ControlSteps {
    static final Map<String, Decoder> FAMILY = family();

    private ControlSteps() {}

    private static Map<String, Decoder> family() {
        Map<String, Decoder> all = new HashMap<>();
        all.put("bra", ControlSteps::branch);
        all.put("brx", ControlSteps::branchIndexed);
        all.put("call", ControlSteps::call);
        all.put("ret", (in, o) -> new Step() {
            @Override
            void run(Warp warp, int mask) {
                warp.ret(mask);
            }
        });
        all.put("exit", (in, o) -> new Step() {
            @Override
            void run(Warp warp, int mask) {
                warp.exit(mask);
            }
        });
        all.put("trap", (in, o) -> new Step() {
            @Override
            void run(Warp warp, int mask) {
                throw warp.fault(Fault.Kind.ILLEGAL, this, Integer.numberOfTrailingZeros(mask), "trap");
            }
        });
        all.put("nanosleep", (in, o) -> {
            o.source(0, Type.U32);
            return nothing();
        });
        for (String opcode : new String[] {"pmevent", "brkpt", "griddepcontrol", "nop"}) {
            all.put(opcode, (in, o) -> nothing());
        }
        for (String opcode : new String[] {"tex", "tld4", "txq", "suld", "sust", "sured", "suq", "istypep"}) {
            all.put(opcode, (in, o) -> {
                throw in.error("entry " + o.linker().entryName()
                        + " uses textures or surfaces, which the simulator does not have: " + in.name());
            });
        }
        all.put("setmaxnreg", (in, o) -> aligned());
        return all;
    }

    static Step nothing() {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                // nothing that a program could see
            }
        };
    }

    private static Step aligned() {
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                warp.cta.checkWarpGroup(warp, this, warp.warpGroupSteps++);
            }
        };
    }

    private static Step branch(Instruction in, Operands o) {
        if (!(o.at(0) instanceof Operand.Target target)) {
            throw in.error("a branch needs a label");
        }
        int to = o.linker().target(target);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                warp.jump(to, mask, convergence());
            }
        };
    }

    private static Step branchIndexed(Instruction in, Operands o) {
        int index = o.source(0, Type.U32);
        if (!(o.at(1) instanceof Operand.Targets targets)) {
            throw in.error("brx.idx needs a label of .branchtargets");
        }
        int[] to = targets.targets().stream().mapToInt(o.linker()::target).toArray();
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int left = mask;
                while (left != 0) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long chosen = warp.r[index + lane];
                    if (chosen >= to.length) {
                        throw warp.fault(
                                Fault.Kind.ILLEGAL, this, lane, "index " + chosen + " of " + to.length + " targets");
                    }
                    int same = 0;
                    for (int others = left; others != 0; others &= others - 1) {
                        int other = Integer.numberOfTrailingZeros(others);
                        same |= warp.r[index + other] == chosen ? 1 << other : 0;
                    }
                    left &= ~same;
                    warp.jump(to[(int) chosen], same, convergence());
                }
            }
        };
    }

    /** Arguments of a call, and where a function takes them. */
    private record Call(
            Function callee,
            long[] from,
            long[] to,
            int[] bytes,
            Frame.@Nullable Result result,
            boolean recursive,
            int start,
            int firstRow) {
        static Call of(Instruction in, Linker linker, Function callee, boolean linked) {
            List<Operand.Args> lists = in.operands().stream()
                    .filter(Operand.Args.class::isInstance)
                    .map(Operand.Args.class::cast)
                    .toList();
            boolean resultFirst = in.operands().get(0) instanceof Operand.Args;
            List<Operand> given = lists.size() > (resultFirst ? 1 : 0)
                    ? lists.get(lists.size() - 1).elements()
                    : List.of();
            if (given.size() != callee.parameters().size()) {
                throw in.error("function " + callee.name() + " has "
                        + callee.parameters().size() + " parameters, " + given.size() + " were given");
            }
            long[] from = new long[given.size()];
            long[] to = new long[given.size()];
            int[] bytes = new int[given.size()];
            for (int k = 0; k < from.length; k++) {
                from[k] = parameterAddress(in, linker, given.get(k));
                to[k] = linker.local(callee, callee.parameters().get(k));
                bytes[k] = callee.parameters().get(k).bytes();
            }
            Frame.Result result = !resultFirst || callee.returns().isEmpty()
                    ? null
                    : new Frame.Result(
                            linker.local(callee, callee.returns().get(0)),
                            parameterAddress(in, linker, lists.get(0).elements().get(0)),
                            callee.returns().get(0).bytes());
            return new Call(
                    callee,
                    from,
                    to,
                    bytes,
                    result,
                    linked && linker.isRecursive(callee),
                    linked ? linker.start(callee) : -1,
                    linked ? linker.firstRow(callee) : -1);
        }

        /** Copies parameters and goes to the function, which copies the result on return. */
        void run(Warp warp, int mask, int converge) {
            int rows = callee.registers().size() * Warp.LANES;
            Frame.Saved saved =
                    recursive ? new Frame.Saved(warp, firstRow, rows, firstRow / Warp.LANES, rows / Warp.LANES) : null;
            byte[] local = warp.local().data();
            int size = local.length / Warp.LANES;
            for (int left = mask; left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                for (int k = 0; k < from.length; k++) {
                    System.arraycopy(local, lane * size + (int) from[k], local, lane * size + (int) to[k], bytes[k]);
                }
            }
            warp.call(start, mask, result, saved, converge);
        }
    }

    private static Step call(Instruction in, Operands o) {
        Linker linker = o.linker();
        if (Linker.isIndirect(in)) {
            return callThroughRegister(in, o);
        }
        Function named = linker.named(in);
        if (named != null && !named.defined() && Intrinsics.contains(named.name())) {
            Call call = Call.of(in, linker, named, false);
            return Intrinsics.step(named.name(), call.from, call.bytes, call.result);
        }
        Call call = Call.of(in, linker, linker.callee(in), true);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                call.run(warp, mask, convergence());
            }
        };
    }

    /** Lanes with different functions call them one after the other. */
    private static Step callThroughRegister(Instruction in, Operands o) {
        Linker linker = o.linker();
        int address = -1;
        int given = 0;
        for (Operand operand : in.operands()) {
            if (operand instanceof Operand.Reg) {
                address = o.source(operand, Type.B64);
            } else if (operand instanceof Operand.Args args) {
                given = args.elements().size();
            }
        }
        boolean withoutArguments =
                in.operands().stream().filter(Operand.Args.class::isInstance).count()
                        <= (in.operands().get(0) instanceof Operand.Args ? 1 : 0);
        int parameters = withoutArguments ? 0 : given;
        Map<Long, Call> calls = new HashMap<>();
        for (Function function : linker.functionsWithAddress()) {
            if (function.parameters().size() == parameters) {
                calls.put(linker.functionAddress(function.name(), in), Call.of(in, linker, function, true));
            }
        }
        int row = address;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int first = Integer.numberOfTrailingZeros(mask);
                long target = warp.r[row + first];
                Call call = calls.get(target);
                if (call == null) {
                    throw warp.fault(
                            Fault.Kind.ILLEGAL,
                            this,
                            first,
                            "0x" + Long.toHexString(target) + " is not the address of a function with " + parameters
                                    + " parameters");
                }
                int same = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    same |= warp.r[row + lane] == target ? 1 << lane : 0;
                }
                if (same != mask) {
                    warp.repeat(mask & ~same);
                }
                call.run(warp, same, convergence());
            }
        };
    }

    private static long parameterAddress(Instruction in, Linker linker, Operand operand) {
        if (operand instanceof Operand.Symbol symbol && symbol.variable() != null) {
            return linker.address(symbol.variable(), in) + symbol.offset();
        }
        throw in.error("parameters and results of calls are .param variables, " + operand + " is not");
    }
}
