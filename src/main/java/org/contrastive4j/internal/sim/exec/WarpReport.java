package org.contrastive4j.internal.sim.exec;

import java.util.List;

/**
 * Where the lanes of a warp are, for messages.
 *
 * @param next position of a warp without live lanes
 * @param fragments all lanes, those that run first
 */
record WarpReport(Cta cta, Step[] code, int next, List<Fragment> fragments) {
    /** Describes which lanes wait where. */
    String describe(int warp) {
        StringBuilder text = new StringBuilder("block " + cta.index() + " warp " + warp + ":");
        for (Fragment fragment : fragments) {
            Step step = step(fragment);
            text.append(" lanes 0x")
                    .append(Integer.toHexString(fragment.mask))
                    .append(" at line ")
                    .append(step.source().line())
                    .append(" (")
                    .append(step.source().text())
                    .append(")");
            if (fragment.wait != null) {
                text.append(" wait for ").append(fragment.wait.describe());
            }
            text.append(";");
        }
        return text.toString();
    }

    /** Returns the step that is about to run, or the one that lanes wait at. */
    Step current() {
        return fragments.isEmpty() ? at(next) : step(fragments.get(0));
    }

    private Step step(Fragment fragment) {
        return at(fragment.wait == null || fragment.wait.isBefore() ? fragment.pc : fragment.pc - 1);
    }

    private Step at(int position) {
        return code[Math.max(0, Math.min(code.length - 1, position))];
    }
}
