package org.contrastive4j.cli;

import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.train.TrainConfig;

/** Values of options, for the completion of the shell. */
final class Candidates {
    private Candidates() {}

    /** Names of losses. */
    static final class LossNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Losses.allNames().iterator();
        }
    }

    /** Ways to accumulate gradients. */
    static final class Accumulations implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return lowerCase(TrainConfig.Accumulation.values());
        }
    }

    /** Backends of the commands that train or evaluate. */
    static final class Backends implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return List.of("auto", "cpu", "cpu-f64", "cuda", "sim").iterator();
        }
    }

    /** Devices of {@code ptx run}. */
    static final class Devices implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return List.of("sim", "cuda").iterator();
        }
    }

    /** Precisions of a backend. */
    static final class Precisions implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return lowerCase(Precision.values());
        }
    }

    private static Iterator<String> lowerCase(Enum<?>[] values) {
        return Stream.of(values)
                .map(value -> value.name().toLowerCase(Locale.ROOT))
                .iterator();
    }
}
