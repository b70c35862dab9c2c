package org.contrastive4j.ops;

import java.util.function.Function;

/** A {@link Deferred} whose value is known. */
record Complete<T>(T value) implements Deferred<T> {
    @Override
    public T get() {
        return value;
    }

    @Override
    public <R> Deferred<R> map(Function<? super T, ? extends R> function) {
        return new Complete<>(function.apply(value));
    }
}
