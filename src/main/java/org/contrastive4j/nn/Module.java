package org.contrastive4j.nn;

import java.util.List;
import org.contrastive4j.autograd.Parameter;

/** A part of a model that owns parameters. */
interface Module extends AutoCloseable {
    /**
     * Returns all parameters in a fixed order.
     *
     * @return parameters, frozen ones included; this module frees them
     */
    List<Parameter> parameters();

    /** Frees the parameters. */
    @Override
    default void close() {
        parameters().forEach(Parameter::close);
    }
}
