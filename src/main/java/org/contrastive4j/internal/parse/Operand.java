package org.contrastive4j.internal.parse;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** What an instruction works on. */
public sealed interface Operand {
    /** A register; {@code negated} only of a predicate. */
    record Reg(Register register, boolean negated) implements Operand {
        @Override
        public String toString() {
            return (negated ? "!" : "") + register;
        }
    }

    /** A special register such as {@code %tid.x}. */
    record Special(String name) implements Operand {
        @Override
        public String toString() {
            return name;
        }
    }

    /** A whole number, or the bits of one. */
    record Int(long value) implements Operand {
        @Override
        public String toString() {
            return Long.toString(value);
        }
    }

    /** A number with a fraction; {@code 0f} and {@code 0d} literals are exact. */
    record Real(double value) implements Operand {
        @Override
        public String toString() {
            return Double.toString(value);
        }
    }

    /** The address of a variable or function, plus bytes. */
    record Symbol(String name, @Nullable Variable variable, long offset) implements Operand {
        @Override
        public String toString() {
            return name + (offset == 0 ? "" : "+" + offset);
        }
    }

    /** A branch target: index of an instruction of the same function. */
    record Target(String label, int instruction) implements Operand {
        @Override
        public String toString() {
            return label;
        }
    }

    /** A list of branch targets. */
    record Targets(String label, List<Target> targets) implements Operand {}

    /**
     * {@code [base + offset]}; base is a register, a symbol or a number, {@code rest} what follows a comma
     * inside the brackets.
     */
    record Mem(Operand base, long offset, List<Operand> rest) implements Operand {
        @Override
        public String toString() {
            return "[" + base + (offset == 0 ? "" : "+" + offset) + "]";
        }
    }

    /** Operands in braces. */
    record Vec(List<Operand> elements) implements Operand {}

    /** {@code first|second}. */
    record Pair(Operand first, Operand second) implements Operand {}

    /** Operands in parentheses, of a call. */
    record Args(List<Operand> elements) implements Operand {}

    /** {@code _}: the result is discarded. */
    record Sink() implements Operand {
        @Override
        public String toString() {
            return "_";
        }
    }
}
