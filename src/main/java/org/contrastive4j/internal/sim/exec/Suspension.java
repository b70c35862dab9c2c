package org.contrastive4j.internal.sim.exec;

/** Suspends the lanes of an instruction for good; the fault is reported unless other threads show its cause. */
public final class Suspension extends RuntimeException {
    private final transient Fault fault;

    public Suspension(Fault fault) {
        super(fault.getMessage(), null, false, false);
        this.fault = fault;
    }

    Fault fault() {
        return fault;
    }
}
