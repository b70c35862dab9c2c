package org.contrastive4j.internal.sim;

import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.internal.sim.exec.Schedule;

/**
 * Options of a simulated device.
 *
 * @param architecture compute capability, whose tensor cores are simulated: 80, 86, 89 or 90
 * @param checks whether launches are checked; bounds, alignment, barriers and deadlocks always are
 * @param counts whether instructions, bytes and bank conflicts are counted
 * @param schedule order of warps and of asynchronous work
 * @param instructionLimit most warp instructions of one cluster in one launch
 * @param memoryLimit most live bytes
 */
public record SimOptions(
        int architecture, boolean checks, boolean counts, Schedule schedule, long instructionLimit, long memoryLimit) {
    private static final long MANY = 200_000_000L;

    public SimOptions {
        if (architecture != 80 && architecture != 86 && architecture != 89 && architecture != 90) {
            throw new IllegalArgumentException("architecture " + architecture + ", expected 80, 86, 89 or 90");
        }
        if (instructionLimit < 1 || memoryLimit < 1) {
            throw new IllegalArgumentException("instruction limit " + instructionLimit + ", memory limit " + memoryLimit
                    + ": expected positive numbers");
        }
    }

    /**
     * Returns the defaults: a Hopper GPU with all checks; {@code -Dcontrastive4j.sim.seed} and {@code .limit} choose
     * another schedule and limit.
     */
    public static SimOptions defaults() {
        return new SimOptions(
                90,
                true,
                false,
                Schedule.ofSeed(SystemProperties.simulatorSeed()),
                SystemProperties.simulatorLimit(MANY),
                Long.MAX_VALUE);
    }

    public SimOptions withSeed(long seed) {
        return new SimOptions(architecture, checks, counts, Schedule.ofSeed(seed), instructionLimit, memoryLimit);
    }

    public SimOptions withSchedule(Schedule other) {
        return new SimOptions(architecture, checks, counts, other, instructionLimit, memoryLimit);
    }

    public SimOptions withArchitecture(int other) {
        return new SimOptions(other, checks, counts, schedule, instructionLimit, memoryLimit);
    }

    public SimOptions withoutChecks() {
        return new SimOptions(architecture, false, counts, schedule, instructionLimit, memoryLimit);
    }

    public SimOptions withCounts() {
        return new SimOptions(architecture, checks, true, schedule, instructionLimit, memoryLimit);
    }

    public SimOptions withInstructionLimit(long limit) {
        return new SimOptions(architecture, checks, counts, schedule, limit, memoryLimit);
    }

    public SimOptions withMemoryLimit(long limit) {
        return new SimOptions(architecture, checks, counts, schedule, instructionLimit, limit);
    }
}
