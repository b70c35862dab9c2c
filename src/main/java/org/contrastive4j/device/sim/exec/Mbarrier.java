package org.contrastive4j.device.sim.exec;

/** A phased barrier in shared memory: a phase ends when all arrivals have come and all announced bytes too. */
final class Mbarrier {
    private static final int MOST = (1 << 20) - 1;

    private final Cta cta;
    private final int address;
    private int count;
    private int pending;
    private long transactions;
    private int phase;
    private Phase current = new Phase();

    /** What waiters of one phase hold on to. */
    static final class Phase {
        private boolean done;

        boolean isDone() {
            return done;
        }
    }

    private Phase previous = new Phase();

    Mbarrier(Cta cta, int address, int count) {
        this.cta = cta;
        this.address = address;
        this.count = count;
        this.pending = count;
        previous.done = true;
    }

    Cta cta() {
        return cta;
    }

    int address() {
        return address;
    }

    /** Number of completed phases. */
    int phase() {
        return phase;
    }

    Phase current() {
        return current;
    }

    /** The phase of that parity: the current one, or the one before it, which is done. */
    Phase ofParity(int parity) {
        return (phase & 1) == parity ? current : previous;
    }

    Phase ofState(long state) {
        return (int) (state >>> 32) == phase ? current : previous;
    }

    /** Opaque state: the phase and the pending count. */
    long state() {
        return (long) phase << 32 | pending;
    }

    void arrive(Warp warp, Step step, int lane, int arrivals, boolean drop) {
        if (arrivals < 1 || arrivals > pending) {
            throw warp.fault(Fault.Kind.BARRIER, step, lane, "mbarrier at 0x" + Integer.toHexString(address) + " got "
                    + arrivals + " arrivals, but only " + pending + " of " + count + " are outstanding in phase " + phase);
        }
        pending -= arrivals;
        if (drop) {
            count -= arrivals;
        }
        check();
    }

    /** One more arrival is outstanding in this phase. */
    void expectArrival() {
        pending++;
    }

    void expect(Warp warp, Step step, int lane, long bytes) {
        transactions += bytes;
        if (Math.abs(transactions) > MOST) {
            throw warp.fault(Fault.Kind.BARRIER, step, lane, "mbarrier at 0x" + Integer.toHexString(address) + " expects "
                    + transactions + " bytes, more than " + MOST);
        }
    }

    void complete(long bytes) {
        transactions -= bytes;
        check();
    }

    private void check() {
        if (pending == 0 && transactions == 0) {
            current.done = true;
            previous = current;
            current = new Phase();
            phase++;
            pending = count;
            cta.cluster().progress();
        }
    }

    String describe() {
        return "mbarrier at shared address 0x" + Integer.toHexString(address) + " of block " + cta.index() + " (phase " + phase + ", "
                + pending + " of " + count + " arrivals and " + transactions + " bytes outstanding)";
    }
}
