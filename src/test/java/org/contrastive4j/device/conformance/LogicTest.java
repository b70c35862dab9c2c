package org.contrastive4j.device.conformance;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.LongBinaryOperator;
import java.util.function.LongUnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Bitwise logic, shifts and permutations. */
class LogicTest {
    /**
     * Bytes that {@code prmt} selects, lowest first, by the low two bits of the selector; table of the documentation.
     */
    private static final Map<String, int[][]> PERMUTATIONS = Map.of(
            "f4e", new int[][] {{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}},
            "b4e", new int[][] {{0, 7, 6, 5}, {1, 0, 7, 6}, {2, 1, 0, 7}, {3, 2, 1, 0}},
            "rc8", new int[][] {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}},
            "ecl", new int[][] {{0, 1, 2, 3}, {1, 1, 2, 3}, {2, 2, 2, 3}, {3, 3, 3, 3}},
            "ecr", new int[][] {{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 1, 2, 2}, {0, 1, 2, 3}},
            "rc16", new int[][] {{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 1, 0, 1}, {2, 3, 2, 3}});

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (Kind kind : List.of(Kind.B16, Kind.B32, Kind.B64)) {
            logic(rows, kind);
            shifts(rows, kind);
        }
        predicates(rows);
        rows.add(tables());
        funnels(rows);
        rows.add(Row.of("prmt.b32", Kind.B32, Collections.nCopies(3, Kind.B32), x -> Outcome.bits(permute(x))));
        PERMUTATIONS.keySet().stream()
                .sorted()
                .forEach(mode -> rows.add(Row.of(
                        "prmt.b32." + mode,
                        Kind.B32,
                        Collections.nCopies(3, Kind.B32),
                        x -> Outcome.bits(permute(PERMUTATIONS.get(mode)[(int) x[2] & 3], x)))));
        return rows;
    }

    private static void logic(List<Row> rows, Kind kind) {
        String type = "." + kind.ptx();
        rows.add(binary("and" + type, kind, (a, b) -> a & b));
        rows.add(binary("or" + type, kind, (a, b) -> a | b));
        rows.add(binary("xor" + type, kind, (a, b) -> a ^ b));
        rows.add(unary("not" + type, kind, a -> ~a));
        rows.add(unary("cnot" + type, kind, a -> a == 0 ? 1 : 0));
    }

    /** Shifts by unsigned 32-bit amounts; an amount of at least the width leaves only shifted-in bits. */
    private static void shifts(List<Row> rows, Kind kind) {
        Kind unsigned = Kind.valueOf("U" + kind.bits);
        Kind signed = Kind.valueOf("S" + kind.bits);
        rows.add(shift("shl." + kind.ptx(), kind, (a, by) -> by > 63 ? 0 : a << by));
        rows.add(shift("shr." + kind.ptx(), kind, (a, by) -> by > 63 ? 0 : a >>> by));
        rows.add(shift("shr." + unsigned.ptx(), unsigned, (a, by) -> by > 63 ? 0 : a >>> by));
        rows.add(shift("shr." + signed.ptx(), signed, (a, by) -> a >> Math.min(by, 63)));
    }

    private static Row shift(String instruction, Kind kind, LongBinaryOperator operation) {
        Row row = Row.of(instruction, kind, List.of(kind, Kind.U32), x -> cut(kind, operation.applyAsLong(x[0], x[1])));
        List<long[]> lanes = new ArrayList<>(row.lanes());
        for (long by : new long[] {15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 255, 256, 0x8000_0000L, 0xffff_ffffL}) {
            Samples.edges(kind).forEach(value -> lanes.add(new long[] {value, by}));
        }
        return row.on(lanes);
    }

    /** Adds logic on predicates; {@code p} and {@code q} are the lowest bits of the operands. */
    private static void predicates(List<Row> rows) {
        rows.add(predicate("and.pred", "and.pred r, p, q;", (a, b) -> a & b));
        rows.add(predicate("or.pred", "or.pred r, p, q;", (a, b) -> a | b));
        rows.add(predicate("xor.pred", "xor.pred r, p, q;", (a, b) -> a ^ b));
        rows.add(predicate("not.pred", "not.pred r, p;", (a, b) -> ~a));
        rows.add(predicate("mov.pred", "mov.pred r, q;", (a, b) -> b));
    }

    private static Row predicate(String name, String instruction, LongBinaryOperator operation) {
        String body = """
                and.b32 t, a, 1;
                setp.ne.u32 p, t, 0;
                and.b32 u, b, 1;
                setp.ne.u32 q, u, 0;
                %s
                selp.u32 d, 1, 0, r;""".formatted(instruction);
        return Row.of(name, body, List.of(Kind.U32), List.of(Kind.U32, Kind.U32), x ->
                new Outcome[] {Outcome.bits(operation.applyAsLong(x[0], x[1]) & 1)});
    }

    /** Adds all 256 truth tables; bit 4 a + 2 b + c of a table is the result for bits a, b, c. */
    private static Row tables() {
        String body = IntStream.range(0, 256)
                .mapToObj(i -> "lop3.b32 " + MicroKernel.result(i) + ", a, b, c, " + i + ";")
                .collect(Collectors.joining("\n"));
        Row row = Row.of(
                "lop3.b32",
                body,
                Collections.nCopies(256, Kind.B32),
                Collections.nCopies(3, Kind.B32),
                x -> IntStream.range(0, 256)
                        .mapToObj(table -> Outcome.bits(lookUp(table, x)))
                        .toArray(Outcome[]::new));
        List<long[]> lanes = new ArrayList<>(
                row.lanes().subList(row.lanes().size() - 31, row.lanes().size()));
        lanes.add(new long[] {0xf0, 0xcc, 0xaa});
        return row.on(lanes);
    }

    private static long lookUp(int table, long[] x) {
        long result = 0;
        for (int bit = 0; bit < 32; bit++) {
            long index = (x[0] >>> bit & 1) << 2 | (x[1] >>> bit & 1) << 1 | x[2] >>> bit & 1;
            result |= (long) (table >>> index & 1) << bit;
        }
        return result;
    }

    private static void funnels(List<Row> rows) {
        List<Kind> operands = List.of(Kind.B32, Kind.B32, Kind.U32);
        for (boolean wrap : new boolean[] {true, false}) {
            String mode = wrap ? ".wrap.b32" : ".clamp.b32";
            rows.add(Row.of(
                    "shf.l" + mode,
                    Kind.B32,
                    operands,
                    x -> Outcome.bits((x[1] << 32 | x[0]) << amount(wrap, x[2]) >>> 32)));
            rows.add(Row.of(
                    "shf.r" + mode,
                    Kind.B32,
                    operands,
                    x -> Outcome.bits((x[1] << 32 | x[0]) >>> amount(wrap, x[2]) & 0xffff_ffffL)));
        }
    }

    private static long amount(boolean wrap, long amount) {
        return wrap ? amount & 31 : Math.min(amount, 32);
    }

    private static long permute(long[] x) {
        long result = 0;
        for (int i = 0; i < 4; i++) {
            long selector = x[2] >>> 4 * i & 15;
            byte value = (byte) ((x[1] << 32 | x[0]) >>> 8 * (selector & 7));
            long replicated = value < 0 ? 0xff : 0;
            result |= (selector > 7 ? replicated : value & 0xff) << 8 * i;
        }
        return result;
    }

    private static long permute(int[] selected, long[] x) {
        long result = 0;
        for (int i = 0; i < 4; i++) {
            result |= ((x[1] << 32 | x[0]) >>> 8 * selected[i] & 0xff) << 8 * i;
        }
        return result;
    }

    private static Row unary(String instruction, Kind kind, LongUnaryOperator operation) {
        return Row.of(instruction, kind, List.of(kind), x -> cut(kind, operation.applyAsLong(x[0])));
    }

    private static Row binary(String instruction, Kind kind, LongBinaryOperator operation) {
        return Row.of(instruction, kind, List.of(kind, kind), x -> cut(kind, operation.applyAsLong(x[0], x[1])));
    }

    private static Outcome cut(Kind kind, long value) {
        return Outcome.bits(value & Kind.mask(kind.bits));
    }
}
