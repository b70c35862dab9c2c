package org.contrastive4j.data;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where the members of the usable pairs of one shard are.
 *
 * <p>Memory: 52 bytes and the key for each pair.
 */
final class ShardIndex {
    private static final int NUMBERS = 6; // offset and size of picture, text and JSON
    private static final long ABSENT = -1;
    private static final long SPARSE = -2;

    /** A pair whose members have been found; the caption is in the text member, or else in the JSON member. */
    record Entry(
            String key,
            Extents picture,
            @Nullable Extents text,
            @Nullable Extents json) {}

    private long[] numbers = new long[64 * NUMBERS];
    private byte[] keys = new byte[1024];
    private int[] keyEnds = new int[64];
    private final Map<Integer, Extents> sparse = new HashMap<>(); // by index in numbers
    private int size;

    void add(Entry entry) {
        if ((size + 1) * NUMBERS > numbers.length) {
            numbers = Arrays.copyOf(numbers, 2 * numbers.length);
            keyEnds = Arrays.copyOf(keyEnds, 2 * keyEnds.length);
        }
        byte[] key = entry.key().getBytes(StandardCharsets.UTF_8);
        int start = size == 0 ? 0 : keyEnds[size - 1];
        if (start + key.length > keys.length) {
            keys = Arrays.copyOf(keys, 2 * (start + key.length));
        }
        System.arraycopy(key, 0, keys, start, key.length);
        keyEnds[size] = start + key.length;
        put(size * NUMBERS, entry.picture());
        put(size * NUMBERS + 2, entry.text());
        put(size * NUMBERS + 4, entry.json());
        size++;
    }

    private void put(int at, @Nullable Extents extents) {
        if (extents == null) {
            numbers[at] = ABSENT;
        } else if (extents.isWhole()) {
            numbers[at] = extents.offsets()[0];
            numbers[at + 1] = extents.size();
        } else {
            numbers[at] = SPARSE;
            sparse.put(at, extents);
        }
    }

    private @Nullable Extents get(int at) {
        if (numbers[at] == ABSENT) {
            return null;
        }
        return numbers[at] == SPARSE ? sparse.get(at) : Extents.whole(numbers[at], numbers[at + 1]);
    }

    Entry entry(int index) {
        int start = index == 0 ? 0 : keyEnds[index - 1];
        String key = new String(keys, start, keyEnds[index] - start, StandardCharsets.UTF_8);
        Extents picture = get(index * NUMBERS);
        if (picture == null) {
            throw new IllegalStateException("pair " + key + " has no picture");
        }
        return new Entry(key, picture, get(index * NUMBERS + 2), get(index * NUMBERS + 4));
    }

    int size() {
        return size;
    }
}
