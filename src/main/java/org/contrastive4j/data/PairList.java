package org.contrastive4j.data;

import java.io.IOException;
import java.util.List;
import java.util.PrimitiveIterator;
import java.util.stream.IntStream;

/** Pairs without pictures, such as those of stored representations. */
record PairList(List<Pair> pairs) implements PairStore {
    @Override
    public PrimitiveIterator.OfInt ids() {
        return IntStream.range(0, pairs.size()).iterator();
    }

    @Override
    public int parts() {
        return 1;
    }

    @Override
    public int[] idsOf(int part) {
        return IntStream.range(0, pairs.size()).toArray();
    }

    @Override
    public boolean isStream() {
        return false;
    }

    @Override
    public Pair pair(int id) {
        return pairs.get(id);
    }

    @Override
    public RgbPicture picture(Pair pair) throws IOException {
        throw new IOException("the pairs were given without pictures");
    }

    @Override
    public String fingerprint() {
        Fingerprint print = new Fingerprint();
        pairs.forEach(pair -> print.add(pair.picture() + "\t" + pair.caption()));
        return print.text();
    }
}
