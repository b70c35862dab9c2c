package org.contrastive4j.internal.sim.exec;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * wmma.load, mma and store: tiles whose spread over lanes PTX leaves open; here each lane has a run of neighbours.
 *
 * <p>Tested by {@code NvccProgramsTest}.
 */
final class WmmaSteps {
    static final Map<String, Decoder> FAMILY = Map.of("wmma", WmmaSteps::decode);

    private static final Pattern SHAPE = Pattern.compile("\\.m(\\d{1,2})n(\\d{1,2})k(\\d{1,3})");

    private WmmaSteps() {}

    /**
     * One tile.
     *
     * @param rowMajor whether neighbours in memory (and in a lane) are of one row
     */
    private record Tile(int rows, int columns, Type type, boolean rowMajor) {
        int perLane() {
            return rows * columns / Warp.LANES;
        }

        int perRegister() {
            return Math.max(1, 4 / type.bytes());
        }
    }

    private static @Nullable Step decode(Instruction in, Operands o) {
        String shape = in.modifiers().stream()
                .filter(modifier -> SHAPE.matcher(modifier).matches())
                .findFirst()
                .orElse(null);
        if (shape == null) {
            return null;
        }
        Matcher sizes = SHAPE.matcher(shape);
        sizes.matches();
        int m = Integer.parseInt(sizes.group(1));
        int n = Integer.parseInt(sizes.group(2));
        int k = Integer.parseInt(sizes.group(3));
        if (in.has(".mma")) {
            return multiply(in, o, m, n, k);
        }
        boolean rowMajor = in.has(".row");
        List<IntegerMatrixStep.Elements> small = IntegerMatrixStep.inputs(in);
        if (!small.isEmpty() && small.get(0).bits() < 8) {
            int per = small.get(0).perRegister();
            return transfer(in, o, words(in, m, n, k / per), true, per);
        }
        Type type = Decoder.type(in);
        Tile tile = in.has(".a")
                ? new Tile(m, k, type, rowMajor)
                : in.has(".b") ? new Tile(k, n, type, rowMajor) : new Tile(m, n, type, rowMajor);
        return transfer(in, o, tile, in.has(".a") || in.has(".b"), 1);
    }

    /** Elements below 8 bits move as words of 32: rows of A, columns of B. */
    private static Tile words(Instruction in, int m, int n, int k) {
        return in.has(".a") ? new Tile(m, k, Type.B32, true) : new Tile(k, n, Type.B32, false);
    }

    /** Element e of a lane: its place among all, in memory order for operands, row after row for accumulators. */
    private static int row(Tile tile, boolean operand, int location) {
        return operand && !tile.rowMajor() ? location % tile.rows() : location / tile.columns();
    }

    private static int column(Tile tile, boolean operand, int location) {
        return operand && !tile.rowMajor() ? location / tile.rows() : location % tile.columns();
    }

    /** @param perUnit elements of a unit of the tile, which the stride counts */
    private static Step transfer(Instruction in, Operands o, Tile tile, boolean operand, int perUnit) {
        boolean load = in.has(".load");
        int[] registers = load ? o.destinations(0) : o.sources(1, Type.B32);
        Operands.Address at = o.address(load ? 1 : 0);
        int other = 2;
        int stride = o.count() > other
                ? o.source(other, Type.U32)
                : o.linker().constant((long) perUnit * (tile.rowMajor() ? tile.columns() : tile.rows()));
        AddressResolver.Space space = MemorySteps.space(in, o, at);
        checkRegisters(in, tile, registers, operand);
        int bytes = tile.type() == Type.TF32 ? 4 : tile.type().bytes();
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                for (int e = 0; e < tile.perLane(); e++) {
                    for (int lane = 0; lane < Warp.LANES; lane++) {
                        int location = lane * tile.perLane() + e;
                        long row = row(tile, operand, location);
                        long column = column(tile, operand, location);
                        long step = warp.r[stride + lane] / perUnit;
                        long offset = (tile.rowMajor() ? row * step + column : column * step + row) * bytes;
                        AddressResolver.resolve(
                                warp,
                                this,
                                lane,
                                space,
                                warp.r[at.row() + lane] + at.offset() + offset,
                                bytes,
                                bytes,
                                warp.access);
                    }
                    MemorySteps.notifyObservers(
                            warp, this, Warp.ALL, bytes, load ? Access.Kind.READ : Access.Kind.WRITE, false);
                    for (int lane = 0; lane < Warp.LANES; lane++) {
                        move(warp, lane, e);
                    }
                }
            }

            /** A fragment may have more registers than elements: then they repeat. */
            private void move(Warp warp, int lane, int e) {
                Region block = warp.access.blocks[lane];
                int offset = warp.access.offsets[lane];
                int per = tile.perRegister();
                int repeats = Math.max(1, registers.length * per / tile.perLane());
                if (!load) {
                    block.store(offset, bytes, warp.r[registers[e / per] + lane] >>> 8 * bytes * (e % per));
                    return;
                }
                for (int again = 0; again < repeats; again++) {
                    int register = registers[e / per + again * tile.perLane() / per] + lane;
                    long value = block.load(offset, bytes);
                    warp.r[register] = insert(warp.r[register], value, e % per, per);
                }
            }
        };
    }

    /** Operands may have their elements more than once. */
    private static void checkRegisters(Instruction in, Tile tile, int[] registers, boolean operand) {
        int elements = registers.length * tile.perRegister();
        if (tile.perLane() == 0 || elements != tile.perLane() && !(operand && elements == 2 * tile.perLane())) {
            throw in.error(registers.length + " registers for a tile of " + tile.rows() + " x " + tile.columns() + " "
                    + tile.type());
        }
    }

    private static @Nullable Step multiply(Instruction in, Operands o, int m, int n, int k) {
        List<IntegerMatrixStep.Elements> whole = IntegerMatrixStep.inputs(in);
        if (!whole.isEmpty()) {
            return whole.size() == 2 && whole.get(0).bits() == whole.get(1).bits()
                    ? multiplyWhole(in, o, m, n, k, whole)
                    : null;
        }
        if (in.has(".satfinite")) {
            return null;
        }
        List<Type> types = Decoder.types(in);
        if (types.size() != 2 && types.size() != 4) {
            return null;
        }
        Type inputs = types.size() == 4 ? types.get(1) : Type.F16;
        Type result = types.get(0);
        Type addend = types.get(types.size() - 1);
        List<String> layouts = layouts(in);
        boolean wide = types.stream().allMatch(type -> type == Type.F64);
        if (layouts.size() != 2
                || !inputs.isFloat()
                || !wide && types.contains(Type.F64)
                || wide && !DoubleMatrixStep.isNearest(in)) {
            return null;
        }
        Tile tileA = new Tile(m, k, inputs, layouts.get(0).equals(".row"));
        Tile tileB = new Tile(k, n, inputs, layouts.get(1).equals(".row"));
        int[] d = o.destinations(0);
        int[] a = o.sources(1, Type.B32);
        int[] b = o.sources(2, Type.B32);
        int[] c = o.sources(3, Type.B32);
        Tile tileC = new Tile(m, n, addend, true);
        Tile tileD = new Tile(m, n, result, true);
        checkRegisters(in, tileA, a, true);
        checkRegisters(in, tileB, b, true);
        checkRegisters(in, tileC, c, false);
        checkRegisters(in, tileD, d, false);
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                if (wide) {
                    multiplyDoubles(warp);
                    return;
                }
                TensorCore core = new TensorCore(warp.cta.cluster().grid().architecture(), inputs, k);
                TensorCore.Vector rows = gather(core, warp, a, tileA, true);
                TensorCore.Vector columns = gather(core, warp, b, tileB, false);
                long[] sums = new long[m * n];
                for (int i = 0; i < m * n; i++) {
                    long old = read(warp, c, tileC, i);
                    long wide = addend == result
                            ? old
                            : Numbers.encode(Numbers.decode(old, addend), result, Numbers.Rounding.NEAREST);
                    sums[i] = result == Type.F16
                            ? core.dotF16(wide, rows, i / n * k, columns, i % n * k, k)
                            : core.dot(wide, rows, i / n * k, columns, i % n * k, k);
                }
                for (int i = 0; i < m * n; i++) {
                    write(warp, d, tileD, i, sums[i]);
                }
            }

            private void multiplyDoubles(Warp warp) {
                double[] left = gatherDoubles(warp, a, tileA, true);
                double[] right = gatherDoubles(warp, b, tileB, false);
                long[] sums = new long[m * n];
                for (int i = 0; i < m * n; i++) {
                    double sum = Numbers.f64(read(warp, c, tileC, i));
                    sums[i] = Numbers.bits(DoubleMatrixStep.chain(sum, left, i / n * k, right, i % n * k, k));
                }
                for (int i = 0; i < m * n; i++) {
                    write(warp, d, tileD, i, sums[i]);
                }
            }
        };
    }

    private static @Nullable Step multiplyWhole(
            Instruction in, Operands o, int m, int n, int k, List<IntegerMatrixStep.Elements> inputs) {
        int per = inputs.get(0).perRegister();
        boolean small = inputs.get(0).bits() < 8;
        List<String> layouts = layouts(in);
        if (layouts.size() != 2 || small && !layouts.equals(List.of(".row", ".col"))) {
            return null;
        }
        Type type = inputs.get(0).signed() ? Type.S8 : Type.U8;
        Tile tileA = small ? new Tile(m, k / per, Type.B32, true) : new Tile(m, k, type, isRow(layouts, 0));
        Tile tileB = small ? new Tile(k / per, n, Type.B32, false) : new Tile(k, n, type, isRow(layouts, 1));
        Tile sums = new Tile(m, n, Type.S32, true);
        int[] d = o.destinations(0);
        int[] a = o.sources(1, Type.B32);
        int[] b = o.sources(2, Type.B32);
        int[] c = o.sources(3, Type.S32);
        checkRegisters(in, tileA, a, true);
        checkRegisters(in, tileB, b, true);
        checkRegisters(in, sums, c, false);
        checkRegisters(in, sums, d, false);
        IntegerMatrixStep.Operation operation = IntegerMatrixStep.Operation.of(in);
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                int[] rows = gatherWhole(warp, a, tileA, inputs.get(0), k, true);
                int[] columns = gatherWhole(warp, b, tileB, inputs.get(1), k, false);
                long[] results = new long[m * n];
                for (int i = 0; i < m * n; i++) {
                    results[i] = operation.dot(read(warp, c, sums, i), rows, i / n * k, columns, i % n * k, k);
                }
                for (int i = 0; i < m * n; i++) {
                    write(warp, d, sums, i, results[i]);
                }
            }
        };
    }

    private static List<String> layouts(Instruction in) {
        return in.modifiers().stream()
                .filter(modifier -> modifier.equals(".row") || modifier.equals(".col"))
                .toList();
    }

    private static boolean isRow(List<String> layouts, int index) {
        return layouts.get(index).equals(".row");
    }

    /** Rows of A or columns of B, each k elements. */
    private static int[] gatherWhole(
            Warp warp, int[] registers, Tile tile, IntegerMatrixStep.Elements elements, int k, boolean isA) {
        int per = tile.type() == Type.B32 ? elements.perRegister() : 1;
        int[] values = new int[(isA ? tile.rows() : tile.columns()) * k];
        for (int location = 0; location < tile.rows() * tile.columns(); location++) {
            int row = row(tile, true, location);
            int column = column(tile, true, location);
            long bits = read(warp, registers, tile, location);
            for (int e = 0; e < per; e++) {
                values[isA ? row * k + column * per + e : column * k + row * per + e] = elements.value(bits, e);
            }
        }
        return values;
    }

    private static double[] gatherDoubles(Warp warp, int[] registers, Tile tile, boolean isA) {
        int k = isA ? tile.columns() : tile.rows();
        double[] values = new double[tile.rows() * tile.columns()];
        for (int place = 0; place < values.length; place++) {
            int row = row(tile, true, place);
            int column = column(tile, true, place);
            values[isA ? row * k + column : column * k + row] = Numbers.f64(read(warp, registers, tile, place));
        }
        return values;
    }

    private static TensorCore.Vector gather(TensorCore core, Warp warp, int[] registers, Tile tile, boolean isA) {
        int k = isA ? tile.columns() : tile.rows();
        TensorCore.Vector vector = core.vector(tile.rows() * tile.columns());
        for (int location = 0; location < tile.rows() * tile.columns(); location++) {
            int row = row(tile, true, location);
            int column = column(tile, true, location);
            double value = TensorCore.input(read(warp, registers, tile, location), tile.type());
            core.set(vector, isA ? row * k + column : column * k + row, value);
        }
        return vector;
    }

    private static long read(Warp warp, int[] registers, Tile tile, int location) {
        int lane = location / tile.perLane();
        int e = location % tile.perLane();
        int per = tile.perRegister();
        long register = warp.r[registers[e / per] + lane];
        return per == 1 ? register : Numbers.mask(register >>> 32 / per * (e % per), 4 / per);
    }

    private static void write(Warp warp, int[] registers, Tile tile, int location, long value) {
        int lane = location / tile.perLane();
        int e = location % tile.perLane();
        int per = tile.perRegister();
        int register = registers[e / per] + lane;
        warp.r[register] = insert(warp.r[register], value, e % per, per);
    }

    /** Returns a register with one of its elements replaced; the first one clears the others. */
    private static long insert(long register, long value, int index, int per) {
        return index == 0 ? value : register & (1L << 32 / per * index) - 1 | value << 32 / per * index;
    }
}
