package org.contrastive4j.ops;

import java.util.function.Function;

/**
 * A result that the host may read later, like a {@link java.util.concurrent.Future}.
 *
 * <p>Every operation and loss with a result for the host returns one. On a backend without a queue it is complete at
 * once. On a backend with a queue {@link #get} synchronises with the queue; results that were deferred before that
 * synchronisation are read without another one.
 *
 * @param <T> the result
 */
@FunctionalInterface
public interface Deferred<T> {
    /**
     * Returns the result, after a synchronisation where it is not complete yet. Repeated calls return the same result,
     * until a captured graph that computes it is launched again.
     *
     * @return the result
     */
    T get();

    /**
     * Returns a function of the result. The function runs now when the result is complete, otherwise in {@link #get}:
     * what it throws is thrown as early as it can be known.
     *
     * @param function applied to the result; may run once for each call of {@link #get}
     * @param <R> what it returns
     * @return its deferred value
     */
    default <R> Deferred<R> map(Function<? super T, ? extends R> function) {
        return () -> function.apply(get());
    }

    /**
     * Returns a result that is complete.
     *
     * @param value the result
     * @param <T> its type
     * @return it, complete
     */
    static <T> Deferred<T> of(T value) {
        return new Complete<>(value);
    }
}
