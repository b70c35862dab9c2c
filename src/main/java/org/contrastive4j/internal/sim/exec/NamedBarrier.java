package org.contrastive4j.internal.sim.exec;

/**
 * One of the 16 barriers of a thread block; counts threads, whole warps at a time for the aligned forms.
 *
 * <p>Tested by {@code BarrierConformanceTest}.
 */
final class NamedBarrier {
    private final Cta cta;
    private final int id;
    private int arrived;
    private int expected;
    private boolean explicit;
    private Generation generation = new Generation();

    /** One use of the barrier: what its waiters hold on to. */
    static final class Generation {
        private boolean done;
        private int trues;
        private int threads;

        boolean isDone() {
            return done;
        }

        int trues() {
            return trues;
        }

        boolean all() {
            return trues == threads;
        }
    }

    NamedBarrier(Cta cta, int id) {
        this.cta = cta;
        this.id = id;
    }

    int id() {
        return id;
    }

    int arrived() {
        return arrived;
    }

    int expected() {
        return expected;
    }

    Generation generation() {
        return generation;
    }

    /** @param count threads that take part, where given; else all of the block */
    void arrive(Warp warp, Step step, int lanes, int count, boolean given, int trues) {
        int participants = given ? count : (cta.threads() + Warp.LANES - 1) / Warp.LANES * Warp.LANES;
        if (given && (count <= 0 || count % Warp.LANES != 0)
                || participants > (cta.threads() + Warp.LANES - 1) / Warp.LANES * Warp.LANES) {
            throw warp.fault(
                    Fault.Kind.BARRIER,
                    step,
                    0,
                    "barrier " + id + " for " + count
                            + " threads, expected a multiple of 32 that is at most the block of " + cta.threads());
        }
        if (arrived > 0 && expected != participants) {
            throw warp.fault(
                    Fault.Kind.BARRIER,
                    step,
                    0,
                    "barrier " + id + " for " + participants + " threads, but others arrived at it for " + expected);
        }
        expected = participants;
        explicit = given;
        arrived += Integer.bitCount(lanes) == Integer.bitCount(warp.live()) ? Warp.LANES : Integer.bitCount(lanes);
        generation.trues += trues;
        generation.threads += Integer.bitCount(lanes);
        if (arrived > expected) {
            throw warp.fault(
                    Fault.Kind.BARRIER,
                    step,
                    0,
                    "barrier " + id + " got " + arrived + " arrivals for " + expected + " threads");
        }
        check();
    }

    private void check() {
        int gone = explicit
                ? 0
                : Warp.LANES * (int) cta.warps().stream().filter(Warp::isDone).count();
        if (arrived > 0 && arrived + gone >= expected) {
            generation.done = true;
            generation = new Generation();
            arrived = 0;
        }
    }

    /** A warp that has exited is not waited for by a barrier of the whole block. */
    void exited() {
        check();
    }
}
