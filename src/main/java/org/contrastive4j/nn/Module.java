package org.contrastive4j.nn;

import java.util.List;
import org.contrastive4j.autograd.Parameter;

/** Something with parameters, which it owns. */
public interface Module extends AutoCloseable {
    /** All parameters, in a fixed order. */
    List<Parameter> parameters();

    @Override
    default void close() {
        parameters().forEach(Parameter::close);
    }
}
