package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;

/** Branches, calls, exits, and what only a scheduler or profiler would notice. */
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

    /** Copies parameters, goes to the function, and on return copies the result. */
    private static Step call(Instruction in, Operands o) {
        Linker linker = o.linker();
        Function callee = linker.callee(in);
        List<Operand.Args> lists = new ArrayList<>();
        boolean resultFirst = o.at(0) instanceof Operand.Args;
        for (Operand operand : in.operands()) {
            if (operand instanceof Operand.Args args) {
                lists.add(args);
            }
        }
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
        boolean recursive = linker.isRecursive(callee);
        int start = linker.start(callee);
        int firstRow = linker.firstRow(callee);
        int rows = callee.registers().size() * Warp.LANES;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                Frame.Saved saved = recursive
                        ? new Frame.Saved(warp, firstRow, rows, firstRow / Warp.LANES, rows / Warp.LANES)
                        : null;
                byte[] local = warp.local().data();
                int size = local.length / Warp.LANES;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    for (int k = 0; k < from.length; k++) {
                        System.arraycopy(
                                local, lane * size + (int) from[k], local, lane * size + (int) to[k], bytes[k]);
                    }
                }
                warp.call(start, mask, result, saved, convergence());
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
