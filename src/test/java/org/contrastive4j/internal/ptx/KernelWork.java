package org.contrastive4j.internal.ptx;

import java.util.Map;
import java.util.Set;
import org.contrastive4j.internal.sim.check.Counts;
import org.contrastive4j.internal.sim.exec.Step;

/**
 * What the simulator counted of one launch.
 *
 * @param line all instructions
 * @param special instructions of the special-function unit, divisions among them
 */
record KernelWork(Counts.Line line, long special) {
    private static final Set<String> SPECIAL =
            Set.of("ex2", "lg2", "rcp", "rsqrt", "sqrt", "sin", "cos", "div", "tanh");

    static KernelWork of(Counts counts) {
        long special = 0;
        for (Map.Entry<Step, Counts.Line> entry : counts.byLine()) {
            special += SPECIAL.contains(entry.getKey().source().opcode())
                    ? entry.getValue().executions()
                    : 0;
        }
        return new KernelWork(counts.total(), special);
    }
}
