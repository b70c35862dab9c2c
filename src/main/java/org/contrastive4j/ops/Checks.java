package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Argument checks that all families of operations share; each failure is a {@link ShapeException}. */
final class Checks {
    private Checks() {}

    static void type(String op, String argument, @Nullable Tensor given, DType one, DType other) {
        Tensor tensor = require(op, argument, given);
        if (tensor.dtype() != one && tensor.dtype() != other) {
            String expected = one.label() + (one == other ? "" : " or " + other.label());
            throw new ShapeException(op + ": " + argument + " is " + tensor + ", expected " + expected);
        }
    }

    static void shape(String op, String argument, @Nullable Tensor given, DType dtype, int... expected) {
        Tensor tensor = require(op, argument, given);
        if (tensor.dtype() != dtype || !tensor.shape().equals(Shape.of(expected))) {
            throw new ShapeException(
                    op + ": " + argument + " is " + tensor + ", expected " + dtype.label() + Shape.of(expected));
        }
    }

    static void rank(String op, String argument, @Nullable Tensor given, DType dtype, int rank) {
        Tensor tensor = require(op, argument, given);
        if (tensor.dtype() != dtype || tensor.shape().rank() != rank) {
            throw new ShapeException(
                    op + ": " + argument + " is " + tensor + ", expected " + dtype.label() + " of rank " + rank);
        }
    }

    static void like(String op, String argument, @Nullable Tensor given, Tensor other) {
        shape(op, argument, given, other.dtype(), other.shape().dims());
    }

    /** Returns the tensor after checking that it is not null and open. */
    static Tensor require(String op, String argument, @Nullable Tensor given) {
        if (given == null) {
            throw new ShapeException(op + ": " + argument + " is null");
        }
        given.checkOpen();
        return given;
    }

    static void that(boolean holds, String op, String message) {
        if (!holds) {
            throw new ShapeException(op + ": " + message);
        }
    }
}
