package org.contrastive4j.internal.ptx;

import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.DoubleStream;
import org.contrastive4j.internal.sim.check.Counts;
import org.contrastive4j.internal.sim.exec.Step;

/**
 * The counts of one launch by the simulator, and the time that they imply.
 *
 * @param line all instructions
 * @param special those that the special-function unit executes; a division is one of them
 * @param products products of 16 x 8 x 16 in 16 bits or 16 x 8 x 8 in tf32 on tensor cores
 * @param warpGroup work of warp groups and bulk copies
 * @param tiled whether thread blocks copy tiles that others copy too, so that the bytes come from the L2 cache
 */
record KernelWork(Counts.Line line, long special, long products, WarpGroup warpGroup, boolean tiled) {
    private static final Set<String> SPECIAL =
            Set.of("ex2", "lg2", "rcp", "rsqrt", "sqrt", "sin", "cos", "div", "tanh");
    private static final Pattern SHAPE = Pattern.compile("\\.m64n(\\d+)k16\\.");

    /**
     * Work of sm_90a kernels.
     *
     * @param products {@code wgmma.mma_async} of a warp group
     * @param bulkBytes global memory that bulk copies read or write
     * @param sharedBytes shared memory that products and bulk copies access, beside the passes of other instructions
     * @param waits waits of warps for mbarriers; repeated polls are counted once
     */
    record WarpGroup(long products, long bulkBytes, long sharedBytes, long waits) {
        private static final int WARPS = 4;

        private WarpGroup plus(Step step, Counts.Line line) {
            String name = step.source().name();
            if (name.startsWith("wgmma.mma_async")) {
                long ofGroup = line.executions() / WARPS;
                long bytes = (64 + columns(name)) * 16 * 2; // A and B of 16 bits from shared memory
                return new WarpGroup(products + ofGroup, bulkBytes, sharedBytes + ofGroup * bytes, waits);
            } else if (name.startsWith("cp.async.bulk")) {
                return new WarpGroup(products, bulkBytes + line.globalBytes(), sharedBytes + line.sharedBytes(), waits);
            }
            return name.startsWith("mbarrier.try_wait")
                    ? new WarpGroup(products, bulkBytes, sharedBytes, waits + line.executions())
                    : this;
        }

        private static long columns(String name) {
            Matcher shape = SHAPE.matcher(name);
            if (!shape.find()) {
                throw new IllegalArgumentException(name + ": expected a product of m64, k16");
            }
            return Long.parseLong(shape.group(1));
        }
    }

    static KernelWork of(Counts counts) {
        long special = 0;
        long products = 0;
        WarpGroup warpGroup = new WarpGroup(0, 0, 0, 0);
        boolean tiled = false;
        for (Map.Entry<Step, Counts.Line> entry : counts.byLine()) {
            String opcode = entry.getKey().source().opcode();
            String name = entry.getKey().source().name();
            special += SPECIAL.contains(opcode) ? entry.getValue().executions() : 0;
            products += opcode.equals("mma") ? entry.getValue().executions() : 0;
            products += name.startsWith("wgmma.mma_async")
                    ? entry.getValue().executions() * WarpGroup.columns(name) / 8
                    : 0;
            warpGroup = warpGroup.plus(entry.getKey(), entry.getValue());
            tiled |= name.startsWith("cp.async");
        }
        return new KernelWork(counts.total(), special, products, warpGroup, tiled);
    }

    /**
     * Returns the clock cycles of one multiprocessor of an H100 by its data sheet: per clock 4 instructions, 16 lanes
     * of special functions, one product, and one pass of 128 bytes through shared memory; its share of 6154 bytes of
     * L2 cache per clock, as measured by others, if thread blocks copy tiles, else of 3.35 x 10^12 bytes of memory a
     * second.
     */
    Clocks clocks() {
        double bytes = 32.0 * line.sectors() * Clocks.MULTIPROCESSORS;
        return new Clocks(
                line.executions() / 4.0,
                2.0 * special,
                products,
                line.passes() + warpGroup.sharedBytes / 128.0,
                tiled ? bytes / 6154 : 0,
                tiled ? 0 : bytes / 3.35e12 * Clocks.HERTZ);
    }

    /** Returns the requested bytes divided by those of the sectors touched. */
    double sectorsUsed() {
        return line.sectors() == 0 ? 1 : line.globalBytes() / (32.0 * line.sectors());
    }

    /**
     * Work in clock cycles of one multiprocessor. It can be scaled, and extrapolated because it is linear in the
     * length of sums.
     */
    record Clocks(double issue, double special, double products, double passes, double cache, double memory) {
        private static final double MULTIPROCESSORS = 132;
        private static final double HERTZ = 1.755e9;

        /** Returns a multiple of this. */
        Clocks of(double times) {
            return new Clocks(
                    times * issue, times * special, times * products, times * passes, times * cache, times * memory);
        }

        /** Extrapolates from this at {@code at} and another at {@code next} to {@code to}. */
        Clocks extended(Clocks other, double at, double next, double to) {
            double share = (to - at) / (next - at);
            return plus(other.of(share)).plus(of(-share));
        }

        private Clocks plus(Clocks other) {
            return new Clocks(
                    issue + other.issue,
                    special + other.special,
                    products + other.products,
                    passes + other.passes,
                    cache + other.cache,
                    memory + other.memory);
        }

        private double most() {
            return DoubleStream.of(issue, special, products, passes, cache, memory)
                    .max()
                    .orElseThrow();
        }

        /**
         * Returns the largest component, spread evenly over all multiprocessors: a lower bound of the time of a
         * launch.
         */
        double seconds() {
            return most() / MULTIPROCESSORS / HERTZ;
        }

        String bound() {
            double most = most();
            return issue == most
                    ? "instructions"
                    : special == most
                            ? "exponentials"
                            : products == most
                                    ? "products"
                                    : passes == most ? "shared memory" : cache == most ? "cache" : "memory";
        }
    }
}
