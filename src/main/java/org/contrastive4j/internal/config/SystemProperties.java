package org.contrastive4j.internal.config;

import org.jspecify.annotations.Nullable;

/** Reads the system properties of this library, {@code -Dcontrastive4j.*}. No other class reads system properties. */
public final class SystemProperties {
    /** Preferred kernels: {@code auto}, {@code portable} or {@code hopper}. */
    public static final String KERNELS = "contrastive4j.kernels";

    private static final String TRACE_LEAKS = "contrastive4j.traceLeaks";
    private static final String THREADS = "contrastive4j.threads";
    private static final String SIMULATOR_SEED = "contrastive4j.sim.seed";
    private static final String SIMULATOR_LIMIT = "contrastive4j.sim.limit";

    private static final String PROJECT = "contrastive4j.project";

    private SystemProperties() {}

    /** Returns the folder of the project that the launcher belongs to, null without the launcher. */
    public static @Nullable String project() {
        return System.getProperty(PROJECT);
    }

    /** Returns the preferred kernels as the user wrote them, {@code auto} by default. */
    public static String kernels() {
        return System.getProperty(KERNELS, "auto");
    }

    /** Returns whether memories record where each storage was allocated, false by default. */
    public static boolean traceLeaks() {
        return Boolean.getBoolean(TRACE_LEAKS);
    }

    /** Returns the threads that the CPU backend uses, by default all processors of this JVM. */
    public static int threads() {
        return Integer.getInteger(THREADS, Runtime.getRuntime().availableProcessors());
    }

    /** Returns the seed of the order in which the simulator schedules warps, 0 by default. */
    public static long simulatorSeed() {
        return Long.getLong(SIMULATOR_SEED, 0);
    }

    /** Returns the largest number of instructions that a simulated launch may execute. */
    public static long simulatorLimit(long otherwise) {
        return Long.getLong(SIMULATOR_LIMIT, otherwise);
    }
}
