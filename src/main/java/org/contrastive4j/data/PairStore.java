package org.contrastive4j.data;

import java.io.IOException;
import java.util.PrimitiveIterator;

/** Where pairs come from: a caption file with pictures in folders, or shards. Any thread may call any method. */
interface PairStore {
    /**
     * Returns the ids of all usable pairs in the order of the data; shards are read when the iteration reaches them.
     */
    PrimitiveIterator.OfInt ids();

    /** Returns the number of parts that can be read one after the other: shards, or 1 for a caption file. */
    int parts();

    /** Returns the ids of the usable pairs of one part. */
    int[] idsOf(int part);

    /** Returns whether all parts have to be read in order, rather than pairs by index. */
    boolean isStream();

    Pair pair(int id);

    /** Returns the bytes of a picture, or of the sheet that it is a rectangle of. */
    RgbPicture picture(Pair pair) throws IOException;

    /** Returns a digest of captions, and of names and sizes of shards. */
    String fingerprint() throws IOException;

    /** Returns a digest of the contents of pictures; empty if {@link #fingerprint} includes them. */
    default String contents() throws IOException {
        return "";
    }
}
