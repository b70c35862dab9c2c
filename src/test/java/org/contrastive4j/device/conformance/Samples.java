package org.contrastive4j.device.conformance;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;

/** Operands: combinations of edge values, then random ones from a fixed seed; always whole warps. */
final class Samples {
    private static final int MOST_COMBINATIONS = 640;
    private static final int RANDOM = 96;

    private Samples() {}

    /** One row of operands per lane. */
    static List<long[]> of(long seed, List<Kind> kinds) {
        Random random = new Random(seed);
        List<List<Long>> edges = kinds.stream().map(Samples::edges).toList();
        int combinations = edges.stream().mapToInt(List::size).reduce(1, Math::multiplyExact);
        List<long[]> lanes = new ArrayList<>();
        for (int i = 0; i < Math.min(combinations, MOST_COMBINATIONS); i++) {
            int index = combinations <= MOST_COMBINATIONS ? i : random.nextInt(combinations);
            long[] lane = new long[kinds.size()];
            for (int k = 0; k < lane.length; k++) {
                lane[k] = edges.get(k).get(index % edges.get(k).size());
                index /= edges.get(k).size();
            }
            lanes.add(lane);
        }
        int count = (lanes.size() + RANDOM + 31) / 32 * 32;
        while (lanes.size() < count) {
            lanes.add(kinds.stream().mapToLong(kind -> random(kind, random)).toArray());
        }
        return lanes;
    }

    /** Returns every value of a 16-bit kind. */
    static List<long[]> all16() {
        List<long[]> lanes = new ArrayList<>();
        for (long i = 0; i < 1 << 16; i++) {
            lanes.add(new long[] {i});
        }
        return lanes;
    }

    static List<Long> edges(Kind kind) {
        LinkedHashSet<Long> values = new LinkedHashSet<>();
        if (kind.packed()) {
            List<Long> halves = edgesOf(kind.format);
            for (int i = 0; i < halves.size(); i++) {
                values.add(halves.get(i) << kind.elementBits() | halves.get((i * 7 + 3) % halves.size()));
            }
        } else if (kind.format != null) {
            values.addAll(edgesOf(kind.format));
        } else {
            long smallest = 1L << kind.bits - 1;
            long[] plain = {
                0,
                1,
                -1,
                smallest,
                smallest - 1,
                2,
                -2,
                smallest + 1,
                smallest - 2,
                0x5555_5555_5555_5555L,
                7,
                31,
                32,
                0x7b,
                1L << kind.bits / 2,
                (1L << kind.bits / 2) - 1
            };
            for (long value : plain) {
                values.add(kind.extend(value));
            }
        }
        return List.copyOf(values);
    }

    private static List<Long> edgesOf(Format format) {
        LinkedHashSet<Long> values = new LinkedHashSet<>();
        long one = format.fromDouble(1, Mode.RN);
        long last = 1L << format.unused;
        long smallest = format.smallestNormal << format.unused;
        long[] positive = {
            0,
            one,
            format.infinity << format.unused,
            last,
            smallest - last,
            smallest,
            smallest + last,
            one + last,
            one - last,
            format.largest << format.unused,
            format.fromDouble(0.5, Mode.RN),
            format.fromDouble(1.5, Mode.RN),
            format.fromDouble(2.5, Mode.RN),
            format.fromDouble(format.ulp(1) / 2, Mode.RN),
            format.fromDouble(format.ulp(1) / 4, Mode.RN),
            format.fromDouble(3, Mode.RN)
        };
        for (long value : positive) {
            values.add(value);
            values.add(format.negate(value));
        }
        values.add(format.nan());
        values.add(format.negate(format.nan()));
        values.add((format.infinity << format.unused) + last);
        return List.copyOf(values);
    }

    private static long random(Kind kind, Random random) {
        if (kind.packed()) {
            return random(kind.format, random) << kind.elementBits() | random(kind.format, random);
        }
        if (kind.format != null) {
            return random(kind.format, random);
        }
        return kind.extend(random.nextLong() >> random.nextInt(kind.bits));
    }

    /** Returns random bits, or values near 1, for which sums and quotients cancel. */
    private static long random(Format format, Random random) {
        if (random.nextBoolean()) {
            return (random.nextLong() & (format.signBit | format.signBit - 1)) << format.unused;
        }
        double value = (1 + random.nextDouble()) * Math.scalb(1.0, random.nextInt(9) - 4);
        return format.fromDouble(random.nextBoolean() ? value : -value, Mode.RN);
    }
}
