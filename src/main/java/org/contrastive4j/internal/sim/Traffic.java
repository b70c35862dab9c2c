package org.contrastive4j.internal.sim;

/**
 * What the host has asked of a device since it was opened.
 *
 * @param waits times the host would have waited for the device: synchronisations, and copies that end when they return
 * @param uploads copies from the host
 * @param downloads copies to the host
 * @param launches kernels, those of graphs included
 */
public record Traffic(long waits, long uploads, long downloads, long launches) {
    /** What was asked since {@code earlier}. */
    public Traffic since(Traffic earlier) {
        return new Traffic(
                waits - earlier.waits,
                uploads - earlier.uploads,
                downloads - earlier.downloads,
                launches - earlier.launches);
    }
}
