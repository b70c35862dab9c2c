package org.contrastive4j.internal.device;

import java.util.List;
import java.util.Map;

/**
 * What NVIDIA's assembler made of a PTX text, without a GPU.
 *
 * @param architecture it was assembled for, such as {@code sm_90a}
 * @param entries by name, in the order of the text
 * @param advisories lines of the log that warn, among them all C75xx
 * @param log everything
 */
public record Assembly(String architecture, Map<String, Entry> entries, List<String> advisories, String log) {
    /**
     * What one kernel needs.
     *
     * @param registers per thread
     * @param spillStoreBytes stores of registers that did not fit, per thread
     * @param spillLoadBytes loads of them
     * @param stackBytes local memory per thread, spills included
     * @param staticSharedBytes per block
     * @param barriers of a block that {@code bar.sync} and the like use
     */
    public record Entry(
            int registers,
            int spillStoreBytes,
            int spillLoadBytes,
            int stackBytes,
            int staticSharedBytes,
            int barriers) {}
}
