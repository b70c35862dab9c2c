package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;

/**
 * Finds, for every branch of a function, the first instruction that all of its lanes execute again: the immediate
 * post-dominator.
 *
 * <p>Paths that only lead out of the function do not count: lanes that return early are not waited for.
 *
 * <p>Source: Cooper, Harvey and Kennedy, A simple, fast dominance algorithm, 2001.
 *
 * <p>Tested by {@code WarpConformanceTest}.
 */
final class PostDominators {
    /** The lanes of a branch do not come together again before they exit. */
    static final int NONE = -1;

    private static final Set<String> ENDS = Set.of("ret", "exit", "trap");

    private final List<Instruction> body;
    private final int[] blockOf;
    private final List<Integer> starts = new ArrayList<>();
    private int[][] successors = {};

    private PostDominators(List<Instruction> body) {
        this.body = body;
        this.blockOf = new int[body.size() + 1];
    }

    /**
     * Returns one entry for every instruction: of a branch and of an instruction under a guard the index where its
     * lanes come together, {@link #NONE} of the others. Index {@code body.size()} is the end of the function.
     */
    static int[] of(List<Instruction> body) {
        return new PostDominators(body).points();
    }

    private int[] points() {
        split();
        successors =
                IntStream.range(0, starts.size()).mapToObj(this::successors).toArray(int[][]::new);
        int[] immediate = immediate();
        int[] points = new int[body.size()];
        for (int i = 0; i < points.length; i++) {
            points[i] = point(i, immediate);
        }
        return points;
    }

    private int point(int i, int[] immediate) {
        Instruction instruction = body.get(i);
        if (isBranch(instruction)) {
            int block = blockOf[i];
            int at = successors[block].length < 2 || immediate[block] < 0 ? NONE : starts.get(immediate[block]);
            return at == NONE || leavesAt(at) ? NONE : at;
        }
        return instruction.guard() == null || ENDS.contains(instruction.opcode()) || leavesAt(i + 1) ? NONE : i + 1;
    }

    private static boolean isBranch(Instruction instruction) {
        return instruction.opcode().equals("bra") || instruction.opcode().equals("brx");
    }

    /** Divides the body into basic blocks. */
    private void split() {
        boolean[] leader = new boolean[body.size() + 1];
        leader[0] = true;
        leader[body.size()] = true;
        for (int i = 0; i < body.size(); i++) {
            Instruction instruction = body.get(i);
            if (isBranch(instruction) || ENDS.contains(instruction.opcode())) {
                leader[i + 1] = true;
                targets(instruction).forEach(target -> leader[target] = true);
            }
        }
        for (int i = 0; i <= body.size(); i++) {
            if (leader[i]) {
                starts.add(i);
            }
            blockOf[i] = starts.size() - 1;
        }
    }

    private static List<Integer> targets(Instruction branch) {
        List<Integer> targets = new ArrayList<>();
        for (Operand operand : branch.operands()) {
            if (operand instanceof Operand.Target target) {
                targets.add(target.instruction());
            } else if (operand instanceof Operand.Targets several) {
                several.targets().forEach(target -> targets.add(target.instruction()));
            }
        }
        return targets;
    }

    /** Whether nothing but the end of the function follows. */
    private boolean leavesAt(int index) {
        int at = index;
        for (int hops = 0; hops < 8; hops++) {
            if (at == body.size()) {
                return true;
            }
            Instruction instruction = body.get(at);
            if (instruction.guard() != null) {
                return false;
            }
            if (instruction.opcode().equals("ret") || instruction.opcode().equals("exit")) {
                return true;
            }
            if (!instruction.opcode().equals("bra") || targets(instruction).isEmpty()) {
                return false;
            }
            at = targets(instruction).get(0);
        }
        return false;
    }

    private int[] successors(int block) {
        int end = block + 1 < starts.size() ? starts.get(block + 1) : body.size();
        if (end == starts.get(block)) {
            return new int[0]; // the end of the function
        }
        Instruction last = body.get(end - 1);
        boolean falls = last.guard() != null || !isBranch(last) && !ENDS.contains(last.opcode());
        List<Integer> next = new ArrayList<>(isBranch(last) ? targets(last) : List.of());
        if (falls) {
            next.add(end);
        }
        int[] all = next.stream().mapToInt(at -> blockOf[at]).distinct().toArray();
        int[] staying =
                Arrays.stream(all).filter(at -> !leavesAt(starts.get(at))).toArray();
        return staying.length == 0 ? all : staying;
    }

    /** Immediate post-dominator of every block; -1 where it is the exit or the block never comes to an end. */
    private int[] immediate() {
        int n = starts.size();
        int exit = n;
        List<List<Integer>> before = new ArrayList<>();
        IntStream.rangeClosed(0, n).forEach(block -> before.add(new ArrayList<>()));
        for (int block = 0; block < n; block++) {
            for (int next : successors[block]) {
                before.get(next).add(block);
            }
            if (successors[block].length == 0) {
                before.get(exit).add(block);
            }
        }
        int[] number = new int[n + 1];
        int[] order = postOrder(exit, before, number);
        int[] immediate = new int[n + 1];
        Arrays.fill(immediate, -1);
        immediate[exit] = exit;
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int k = order.length - 2; k >= 0; k--) {
                int block = order[k];
                int found = -1;
                int[] next = successors[block].length == 0 ? new int[] {exit} : successors[block];
                for (int one : next) {
                    if (immediate[one] >= 0) {
                        found = found < 0 ? one : intersect(found, one, immediate, number);
                    }
                }
                changed |= immediate[block] != found;
                immediate[block] = found;
            }
        }
        for (int block = 0; block < n; block++) {
            immediate[block] = immediate[block] == exit ? -1 : immediate[block];
        }
        return immediate;
    }

    private static int intersect(int a, int b, int[] immediate, int[] number) {
        int first = a;
        int second = b;
        while (first != second) {
            while (number[first] < number[second]) {
                first = immediate[first];
            }
            while (number[second] < number[first]) {
                second = immediate[second];
            }
        }
        return first;
    }

    /** Blocks from which the exit can be reached, each after those that lead to it; the exit is the last. */
    private static int[] postOrder(int exit, List<List<Integer>> before, int[] number) {
        int[] next = new int[before.size()];
        boolean[] seen = new boolean[before.size()];
        int[] stack = new int[before.size()];
        int[] order = new int[before.size()];
        int depth = 0;
        int count = 0;
        stack[depth++] = exit;
        seen[exit] = true;
        while (depth > 0) {
            int here = stack[depth - 1];
            if (next[here] < before.get(here).size()) {
                int one = before.get(here).get(next[here]++);
                if (!seen[one]) {
                    seen[one] = true;
                    stack[depth++] = one;
                }
            } else {
                number[here] = count;
                order[count++] = here;
                depth--;
            }
        }
        return Arrays.copyOf(order, count);
    }
}
