package org.contrastive4j.ops;

import java.util.function.Function;

/**
 * A value on its way from where operations work to the host: on a backend with a queue it is there when the work given
 * so far is done, and several that are asked for one after the other are waited for once.
 */
@FunctionalInterface
public interface Deferred<T> {
    /** The value; waits for it. May be asked again, and gives the same until recorded work runs again. */
    T get();

    /** A function of the value, computed when it is asked for. */
    default <R> Deferred<R> map(Function<T, R> function) {
        return () -> function.apply(get());
    }
}
