package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** The refusals shared by all operation families: what was given, what was wanted. */
final class Checks {
    private Checks() {}

    static void type(String op, String argument, Tensor given, DType one, DType other) {
        require(op, argument, given);
        if (given.dtype() != one && given.dtype() != other) {
            String wanted = one.name() + (one == other ? "" : " or " + other.name());
            throw new ShapeException(
                    op + ": " + argument + " is " + given + ", wanted " + wanted.toLowerCase(java.util.Locale.ROOT));
        }
    }

    static void shape(String op, String argument, Tensor given, DType dtype, int... wanted) {
        require(op, argument, given);
        if (given.dtype() != dtype || !given.shape().equals(Shape.of(wanted))) {
            throw new ShapeException(op + ": " + argument + " is " + given + ", wanted "
                    + dtype.name().toLowerCase(java.util.Locale.ROOT) + Shape.of(wanted));
        }
    }

    static void rank(String op, String argument, Tensor given, DType dtype, int rank) {
        require(op, argument, given);
        if (given.dtype() != dtype || given.shape().rank() != rank) {
            throw new ShapeException(op + ": " + argument + " is " + given + ", wanted "
                    + dtype.name().toLowerCase(java.util.Locale.ROOT) + " of rank " + rank);
        }
    }

    static void like(String op, String argument, Tensor given, Tensor other) {
        shape(op, argument, given, other.dtype(), other.shape().dims());
    }

    static void require(String op, String argument, Tensor given) {
        if (given == null) {
            throw new ShapeException(op + ": " + argument + " is null");
        }
        given.checkOpen();
    }

    static void that(boolean holds, String op, String message) {
        if (!holds) {
            throw new ShapeException(op + ": " + message);
        }
    }
}
