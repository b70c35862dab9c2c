package org.contrastive4j.cli;

import org.contrastive4j.device.PtxDevice;

/** One {@code --arg}. */
sealed interface LaunchArgument permits KernelArgument, StructArgument, TensorMapArgument {
    /** @throws IllegalArgumentException with the wrong part and what is expected */
    static LaunchArgument parse(String text) {
        try {
            if (text.startsWith("struct:") || text.startsWith("bytes:")) {
                return StructArgument.parse(text);
            }
            return text.startsWith("map:") ? TensorMapArgument.parse(text) : KernelArgument.parse(text);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("--arg " + text + ": " + e.getMessage(), e);
        }
    }

    /**
     * Returns what a launch is given. The caller closes storages.
     *
     * @param others values of the other arguments; of a tensor map those that are not maps
     */
    Object value(PtxDevice device, long seed, Object[] others);
}
