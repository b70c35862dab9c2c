package org.contrastive4j.internal.sim.exec;

import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * ldmatrix, stmatrix and mma.sync: a warp's tiles.
 *
 * <p>Tested by {@code MmaConformanceTest}.
 */
final class MatrixSteps {
    static final Map<String, Decoder> FAMILY = Map.of(
            "ldmatrix",
            MatrixSteps::transfer,
            "stmatrix",
            MatrixSteps::transfer,
            "movmatrix",
            MatrixSteps::transpose,
            "mma",
            MatrixSteps::multiply);

    private static final int ROW_BYTES = 16;

    private MatrixSteps() {}

    /**
     * Lanes 8i to 8i + 7 give the rows of matrix i; a lane holds two neighbours of a row, or of a column when
     * transposed.
     */
    private static @Nullable Step transfer(Instruction in, Operands o) {
        if (!in.has(".m8n8") || !in.has(".b16")) {
            return null;
        }
        boolean load = in.opcode().equals("ldmatrix");
        int count = in.has(".x4") ? 4 : in.has(".x2") ? 2 : 1;
        int[] rows = load ? o.destinations(0) : o.sources(1, Type.B32);
        Operands.Address at = o.address(load ? 1 : 0);
        boolean transposed = in.has(".trans");
        AddressResolver.Space space = MemorySteps.space(in, o, at);
        if (rows.length != count) {
            throw in.error(rows.length + " registers for " + count + " matrices");
        }
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                Access access = warp.access;
                for (int lane = 0; lane < 8 * count; lane++) {
                    AddressResolver.resolve(
                            warp,
                            this,
                            lane,
                            space,
                            warp.r[at.row() + lane] + at.offset(),
                            ROW_BYTES,
                            ROW_BYTES,
                            access);
                }
                int rowLanes = count == 4 ? -1 : (1 << 8 * count) - 1;
                MemorySteps.notifyObservers(
                        warp, this, rowLanes, ROW_BYTES, load ? Access.Kind.READ : Access.Kind.WRITE, false);
                for (int matrix = 0; matrix < count; matrix++) {
                    for (int lane = 0; lane < Warp.LANES; lane++) {
                        move(warp, access, matrix, lane, rows[matrix] + lane);
                    }
                }
            }

            private void move(Warp warp, Access access, int matrix, int lane, int register) {
                long value = load ? 0 : warp.r[register];
                for (int e = 0; e < 2; e++) {
                    int row = transposed ? 2 * (lane % 4) + e : lane / 4;
                    int column = transposed ? lane / 4 : 2 * (lane % 4) + e;
                    Region block = access.blocks[8 * matrix + row];
                    int offset = access.offsets[8 * matrix + row] + 2 * column;
                    if (load) {
                        value |= block.load(offset, 2) << 16 * e;
                    } else {
                        block.store(offset, 2, value >>> 16 * e);
                    }
                }
                if (load) {
                    warp.r[register] = value;
                }
            }
        };
    }

    private static Step transpose(Instruction in, Operands o) {
        int d = o.destination(0);
        int a = o.source(1, Type.B32);
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                long[] result = new long[Warp.LANES];
                for (int lane = 0; lane < Warp.LANES; lane++) {
                    for (int e = 0; e < 2; e++) {
                        int row = 2 * (lane % 4) + e;
                        int column = lane / 4;
                        result[lane] |= (warp.r[a + row * 4 + column / 2] >>> 16 * (column % 2) & 0xFFFF) << 16 * e;
                    }
                }
                System.arraycopy(result, 0, warp.r, d, Warp.LANES);
            }
        };
    }

    private static @Nullable Step multiply(Instruction in, Operands o) {
        List<Type> types = Decoder.types(in);
        String shape = in.modifiers().stream()
                .filter(modifier -> modifier.startsWith(".m"))
                .findFirst()
                .orElse("");
        if (types.size() == 4
                && types.stream().allMatch(type -> type == Type.F64)
                && in.has(".row")
                && in.has(".col")) {
            return DoubleMatrixStep.decode(in, o, shape);
        }
        if (!IntegerMatrixStep.inputs(in).isEmpty()) {
            return IntegerMatrixStep.decode(in, o, shape);
        }
        if (types.size() != 4 || !shape.matches("\\.m16n8k\\d{1,2}") || !in.has(".row")) {
            return null;
        }
        boolean sparse = isSparse(in);
        int k = Integer.parseInt(shape.substring(7));
        int stored = sparse ? k / 2 : k;
        Type inputs = types.get(1);
        Type inputsB = types.get(2);
        if (stored * inputs.bytes() != 32 && stored * inputs.bytes() != 16
                || !isMatrixInput(inputs)
                || inputsB != inputs && (inputs.bytes() != 1 || !isMatrixInput(inputsB) || inputsB.bytes() != 1)
                || types.get(0) != types.get(3)) {
            return null;
        }
        boolean half = types.get(0) == Type.F16;
        int[] d = o.destinations(0);
        int[] a = o.sources(1, Type.B32);
        int[] b = o.sources(2, Type.B32);
        int[] c = o.sources(3, half ? Type.B32 : Type.F32);
        int perRegister = 4 / inputs.bytes();
        if (a.length != 16 * stored / perRegister / 32
                || b.length != 8 * k / perRegister / 32
                || d.length != (half ? 2 : 4)
                || c.length != d.length) {
            throw in.error("wrong number of registers for " + in.name());
        }
        int metadata = sparse ? o.source(4, Type.B32) : -1;
        int selector = sparse ? selector(in, o, k, 8 * inputs.bytes()) : 0;
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                int architecture = warp.cta.cluster().grid().architecture();
                TensorCore core = new TensorCore(architecture, inputs, stored, k / stored);
                TensorCore coreB = new TensorCore(architecture, inputsB, stored, k / stored);
                TensorCore.Vector rows = OperandFragments.rows(core, warp, a, inputs, stored);
                if (sparse) {
                    int[] at = new SparseMetadata(warp, this, metadata, selector, k, 8 * inputs.bytes()).columns();
                    rows = rows.spread(at, stored, k);
                }
                TensorCore.Vector columns = OperandFragments.columns(coreB, warp, b, inputsB, k);
                for (int lane = 0; lane < Warp.LANES; lane++) {
                    for (int h = 0; h < 2; h++) {
                        int row = (8 * h + lane / 4) * k;
                        int column = 2 * (lane % 4) * k;
                        if (half) {
                            long old = warp.r[c[h] + lane];
                            warp.r[d[h] + lane] = core.dotF16(old & 0xFFFF, rows, row, columns, column, k)
                                    | core.dotF16(old >>> 16, rows, row, columns, column + k, k) << 16;
                        } else {
                            for (int e = 0; e < 2; e++) {
                                warp.r[d[2 * h + e] + lane] =
                                        core.dot(warp.r[c[2 * h + e] + lane], rows, row, columns, column + e * k, k);
                            }
                        }
                    }
                }
            }
        };
    }

    /** Types of tensor-core inputs that are floating-point numbers of at most 32 bits. */
    private static boolean isMatrixInput(Type type) {
        return switch (type) {
            case TF32, F16, BF16, E4M3, E5M2 -> true;
            default -> false;
        };
    }

    static boolean isSparse(Instruction in) {
        return in.modifiers().stream().anyMatch(modifier -> modifier.equals(".sp") || modifier.startsWith(".sp::"));
    }

    /** Returns which of each four threads hold the metadata of a sparse product. */
    static int selector(Instruction in, Operands o, int k, int bits) {
        int selector = o.natural(5);
        int most = SparseMetadata.mostSelector(k, bits);
        if (selector > most) {
            throw in.error("sparsity selector is " + selector + ", expected 0 to " + most);
        }
        return selector;
    }
}
