package org.contrastive4j.internal.sim;

/**
 * Counts of the operations that the host requested since the device was opened.
 *
 * @param waits times the host would have waited for the device: synchronisations, and copies that end when they return
 * @param uploads copies from the host
 * @param downloads copies to the host
 * @param launches kernels, those of graphs included
 */
public record HostTraffic(long waits, long uploads, long downloads, long launches) {
    /** Returns the operations requested since {@code earlier}. */
    public HostTraffic since(HostTraffic earlier) {
        return new HostTraffic(
                waits - earlier.waits,
                uploads - earlier.uploads,
                downloads - earlier.downloads,
                launches - earlier.launches);
    }
}
