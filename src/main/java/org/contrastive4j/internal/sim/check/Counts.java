package org.contrastive4j.internal.sim.check;

import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;

/**
 * Counts per instruction: executions, lanes, bytes, shared-memory passes beyond the least possible, and 32-byte sectors
 * of global memory.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public final class Counts implements Observer {
    private static final int BANKS = 32;
    private static final int SECTOR = 32;

    private final Map<Step, Line> lines = new ConcurrentHashMap<>();

    /** Counts of one instruction. */
    public static final class Line {
        private long executions;
        private long lanes;
        private long sharedBytes;
        private long globalBytes;
        private long passes;
        private long extraPasses;
        private long sectors;

        /** Warps that executed it. */
        public long executions() {
            return executions;
        }

        /** Lanes that took part, over all executions. */
        public long lanes() {
            return lanes;
        }

        public long sharedBytes() {
            return sharedBytes;
        }

        public long globalBytes() {
            return globalBytes;
        }

        /** Times the shared memory was gone through; one serves each bank once. */
        public long passes() {
            return passes;
        }

        /** Passes beyond those that the number of bytes needs: bank conflicts. */
        public long extraPasses() {
            return extraPasses;
        }

        /**
         * Sectors of 32 bytes of global memory that were touched; globalBytes / 32 is the least for bytes that are
         * touched once.
         */
        public long sectors() {
            return sectors;
        }
    }

    private Line line(Step step) {
        return lines.computeIfAbsent(step, key -> new Line());
    }

    @Override
    public void step(Warp warp, Step step, int mask) {
        Line line = line(step);
        synchronized (line) {
            line.executions++;
            line.lanes += Integer.bitCount(mask);
        }
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        if (mask == 0) {
            return;
        }
        Region.Space space = access.blocks[Integer.numberOfTrailingZeros(mask)].space();
        Line line = line(step);
        long bytes = (long) access.bytes * Integer.bitCount(mask);
        synchronized (line) {
            if (space == Region.Space.SHARED) {
                line.sharedBytes += bytes;
                if (access.async == null || access.async.group() == Async.Group.CP_ASYNC) {
                    passes(mask, access, line);
                }
            } else if (space == Region.Space.GLOBAL) {
                line.globalBytes += bytes;
                line.sectors += sectors(mask, access);
            }
        }
    }

    /** Lanes are served in groups of 128 bytes; in a group, different words of one bank take turns. */
    private static void passes(int mask, Access access, Line line) {
        int group = Math.max(1, Math.min(32, 128 / Math.max(4, access.bytes)));
        int needed = 0;
        for (int first = 0; first < Warp.LANES; first += group) {
            Map<Integer, Set<Integer>> words = new HashMap<>();
            for (int lane = first; lane < first + group; lane++) {
                if ((mask >>> lane & 1) != 0) {
                    for (int b = 0; b < access.bytes; b += 4) {
                        int word = (access.offsets[lane] + b) / 4;
                        words.computeIfAbsent(word % BANKS, bank -> new HashSet<>())
                                .add(word);
                    }
                }
            }
            int most = words.values().stream().mapToInt(Set::size).max().orElse(0);
            needed += most;
            line.extraPasses += Math.max(0, most - 1);
        }
        line.passes += needed;
    }

    private static int sectors(int mask, Access access) {
        Set<Long> touched = new HashSet<>();
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            long from = access.blocks[lane].base() + access.offsets[lane];
            for (long sector = from / SECTOR; sector * SECTOR < from + access.bytes; sector++) {
                touched.add(sector);
            }
        }
        return touched.size();
    }

    /** Steps in the order of the code, with their counts. */
    public List<Map.Entry<Step, Line>> byLine() {
        return lines.entrySet().stream()
                .sorted(Comparator.comparingInt(entry -> entry.getKey().index()))
                .toList();
    }

    /** All instructions together. */
    public Line total() {
        Line total = new Line();
        lines.values().forEach(line -> {
            total.executions += line.executions;
            total.lanes += line.lanes;
            total.sharedBytes += line.sharedBytes;
            total.globalBytes += line.globalBytes;
            total.passes += line.passes;
            total.extraPasses += line.extraPasses;
            total.sectors += line.sectors;
        });
        return total;
    }

    /** Resets all counts. */
    public void reset() {
        lines.clear();
    }
}
