package org.contrastive4j.internal.sim.exec;

/**
 * Where an undefined value comes from.
 *
 * @param step the instruction that read it
 * @param lane that read it
 * @param what for the message: what it read
 * @param isMemory whether it was read from memory, which another thread may write
 * @param padding whether it was loaded together with other elements of a vector
 */
public record Undefined(Step step, int lane, String what, boolean isMemory, boolean padding) {}
