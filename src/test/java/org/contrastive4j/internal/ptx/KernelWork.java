package org.contrastive4j.internal.ptx;

import java.util.Set;
import org.contrastive4j.internal.sim.check.Counts;

/**
 * The counts of one launch by the simulator.
 *
 * @param line all instructions
 * @param special those that the special-function unit executes; a division is one of them
 */
record KernelWork(Counts.Line line, long special) {
    private static final Set<String> SPECIAL =
            Set.of("ex2", "lg2", "rcp", "rsqrt", "sqrt", "sin", "cos", "div", "tanh");

    static KernelWork of(Counts counts) {
        long special = counts.byLine().stream()
                .filter(entry -> SPECIAL.contains(entry.getKey().source().opcode()))
                .mapToLong(entry -> entry.getValue().executions())
                .sum();
        return new KernelWork(counts.total(), special);
    }
}
