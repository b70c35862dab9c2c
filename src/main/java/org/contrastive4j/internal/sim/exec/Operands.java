package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.contrastive4j.internal.parse.Variable;
import org.jspecify.annotations.Nullable;

/**
 * Operands of one instruction as register rows; records which rows the instruction reads and writes.
 *
 * <p>Tested by {@code IntegerTest}.
 */
final class Operands {
    private final Linker linker;
    private final Instruction instruction;
    private final List<Integer> reads = new ArrayList<>();
    private final List<Integer> writes = new ArrayList<>();
    private final List<Integer> predicateReads = new ArrayList<>();
    private final List<Integer> predicateWrites = new ArrayList<>();

    Operands(Linker linker, Instruction instruction) {
        this.linker = linker;
        this.instruction = instruction;
    }

    Linker linker() {
        return linker;
    }

    int count() {
        return instruction.operands().size();
    }

    Operand at(int index) {
        if (index >= count()) {
            throw instruction.error("operand " + (index + 1) + " is missing");
        }
        return instruction.operands().get(index);
    }

    /** Row of a source operand; literals get a row of their own. */
    int source(int index, Type type) {
        return source(at(index), type);
    }

    int source(Operand operand, Type type) {
        if (operand instanceof Operand.Reg reg) {
            if (reg.register().isPredicate()) {
                throw instruction.error("predicate " + reg + " where a value register is required");
            }
            int row = linker.row(reg.register());
            reads.add(row);
            return row;
        }
        if (operand instanceof Operand.Special special) {
            return linker.special(special.name(), instruction);
        }
        return linker.constant(literal(operand, type));
    }

    private long literal(Operand operand, Type type) {
        if (operand instanceof Operand.Int whole) {
            return Numbers.mask(whole.value(), Math.max(1, Math.min(8, type.bytes())));
        }
        if (operand instanceof Operand.Real real) {
            return type.bytes() == 8
                    ? Numbers.bits(real.value())
                    : type.bytes() == 4
                            ? Float.floatToRawIntBits((float) real.value()) & 0xFFFFFFFFL
                            : Numbers.encode(
                                    real.value(), type == Type.BF16 ? Type.BF16 : Type.F16, Numbers.Rounding.NEAREST);
        }
        if (operand instanceof Operand.Symbol symbol && symbol.variable() != null) {
            return linker.address(symbol.variable(), instruction) + symbol.offset();
        }
        if (operand instanceof Operand.Symbol symbol && symbol.variable() == null) {
            return linker.functionAddress(symbol.name(), instruction);
        }
        throw instruction.error("operand " + operand + " is not a value");
    }

    int destination(int index) {
        return destination(at(index));
    }

    int destination(Operand operand) {
        if (operand instanceof Operand.Sink) {
            return linker.scratch();
        }
        if (operand instanceof Operand.Reg reg && !reg.register().isPredicate() && !reg.negated()) {
            int row = linker.row(reg.register());
            writes.add(row);
            return row;
        }
        throw instruction.error("operand " + operand + " is not a register that can be written");
    }

    /** Type that the register of an operand was declared with; null for others. */
    @Nullable
    Type declared(int index) {
        return at(index) instanceof Operand.Reg reg ? reg.register().type() : null;
    }

    /** Number of the register of an operand; -1 of a constant. */
    int register(int index) {
        return at(index) instanceof Operand.Reg reg ? linker.row(reg.register()) / Warp.LANES : -1;
    }

    boolean isPredicate(int index) {
        return index < count()
                && at(index) instanceof Operand.Reg reg
                && reg.register().isPredicate();
    }

    /** A predicate that is read: its number, or ~number when it is negated. */
    int predicate(int index) {
        if (at(index) instanceof Operand.Reg reg && reg.register().isPredicate()) {
            int number = linker.predicate(reg.register());
            predicateReads.add(number);
            return reg.negated() ? ~number : number;
        }
        if (at(index) instanceof Operand.Int whole) {
            return whole.value() != 0 ? linker.truth() : ~linker.truth();
        }
        throw instruction.error("operand " + (index + 1) + " is not a predicate");
    }

    /** A predicate that is written. */
    int predicateDestination(Operand operand) {
        if (operand instanceof Operand.Sink) {
            return linker.scratchPredicate();
        }
        if (operand instanceof Operand.Reg reg && reg.register().isPredicate() && !reg.negated()) {
            int number = linker.predicate(reg.register());
            predicateWrites.add(number);
            return number;
        }
        throw instruction.error("operand " + operand + " is not a predicate register");
    }

    List<Operand> vector(int index) {
        return at(index) instanceof Operand.Vec vec ? vec.elements() : List.of(at(index));
    }

    int[] sources(int index, Type type) {
        return vector(index).stream().mapToInt(element -> source(element, type)).toArray();
    }

    int[] destinations(int index) {
        return vector(index).stream().mapToInt(this::destination).toArray();
    }

    long integer(int index) {
        if (at(index) instanceof Operand.Int whole) {
            return whole.value();
        }
        throw instruction.error("operand " + (index + 1) + " must be a whole number, is " + at(index));
    }

    /** A whole number that is not negative. */
    int natural(int index) {
        long value = integer(index);
        if (value < 0 || value > Integer.MAX_VALUE) {
            throw instruction.error("operand " + (index + 1) + " is " + value + ", expected 0 or more");
        }
        return (int) value;
    }

    /** Row and offset of a memory operand. */
    Address address(int index) {
        return address(at(index));
    }

    Address address(Operand operand) {
        if (!(operand instanceof Operand.Mem mem)) {
            throw instruction.error("operand " + operand + " is not an address in brackets");
        }
        if (mem.base() instanceof Operand.Symbol symbol) {
            Variable variable = symbol.variable();
            return new Address(
                    linker.constant(linker.address(variable, instruction)), symbol.offset() + mem.offset(), variable);
        }
        return new Address(source(mem.base(), Type.B64), mem.offset(), null);
    }

    /** @param variable null when the base is a register or a number */
    record Address(int row, long offset, @Nullable Variable variable) {}

    void finish(Step step) {
        step.operands(array(reads), array(writes), array(predicateReads), array(predicateWrites));
    }

    void noteGuard(int predicate) {
        predicateReads.add(predicate);
    }

    private static int[] array(List<Integer> list) {
        return list.stream().mapToInt(Integer::intValue).toArray();
    }
}
