package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * cp.async.bulk.tensor and cp.reduce.async.bulk.tensor in tile mode: boxes of tensors that a {@link TensorMap}
 * describes.
 *
 * <p>Tested by {@code TensorCopyTest}.
 */
final class TensorCopySteps {
    private static final int SHARED_ALIGNMENT = 128;

    private TensorCopySteps() {}

    /** Returns null for im2col and other modes. */
    static @Nullable Step decode(Instruction in, Operands o) {
        if (in.modifiers().stream()
                .anyMatch(modifier -> modifier.startsWith(".im2col")
                        || modifier.startsWith(".tile::")
                        || modifier.startsWith(".cta_group"))) {
            return null;
        }
        boolean store = in.has(".bulk_group");
        if (in.has(".prefetch")) {
            coordinates(in, o, 0);
            return ControlSteps.nothing();
        }
        int tensor = store ? 0 : 1;
        Operands.Address map = o.address(tensor);
        int[] coordinates = coordinates(in, o, tensor);
        Operands.Address shared = o.address(store ? 1 : 0);
        Operands.Address barrier = store ? null : o.address(2);
        boolean multicast = in.has(".multicast::cluster");
        int blocks = multicast ? o.source(3, Type.B16) : -1;
        if (in.has(".L2::cache_hint")) {
            o.source(o.count() - 1, Type.B64);
        }
        if (in.has(".reduce")) {
            o.linker().communicatesAcrossBlocks();
        }
        Plan plan = new Plan(in, map, coordinates, shared, barrier, blocks);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    plan.start(warp, this, Integer.numberOfTrailingZeros(left));
                }
            }
        };
    }

    private static int[] coordinates(Instruction in, Operands o, int index) {
        if (!(o.at(index) instanceof Operand.Mem memory)
                || memory.rest().size() != 1
                || !(memory.rest().get(0) instanceof Operand.Vec vector)) {
            throw in.error("expected [map, {coordinates}]");
        }
        int dimensions = in.modifiers().stream()
                .filter(modifier -> modifier.matches("\\.[1-5]d"))
                .mapToInt(modifier -> modifier.charAt(1) - '0')
                .findFirst()
                .orElseThrow(() -> in.error("expected .1d to .5d"));
        int[] rows = vector.elements().stream()
                .mapToInt(element -> o.source(element, Type.S32))
                .toArray();
        if (rows.length != dimensions) {
            throw in.error(rows.length + " coordinates, expected " + dimensions);
        }
        return rows;
    }

    /** Contiguous bytes of shared memory and where their element or row lies in the tensor; outside it at -1. */
    private record Piece(int sharedOffset, long tensorAddress, int bytes) {}

    /** A decoded copy; a load completes on an mbarrier, a store in the bulk group of the thread. */
    private record Plan(
            Instruction in,
            Operands.Address map,
            int[] coordinates,
            Operands.Address shared,
            Operands.@Nullable Address barrier,
            int blocks) {
        void start(Warp warp, Step step, int lane) {
            TensorMap tensor = map(warp, step, lane);
            long at = warp.r[shared.row() + lane] + shared.offset();
            if ((Windows.within(at) & SHARED_ALIGNMENT - 1) != 0) {
                throw warp.fault(
                        Fault.Kind.MISALIGNED,
                        step,
                        lane,
                        "shared address 0x" + Long.toHexString(at) + " is not a multiple of " + SHARED_ALIGNMENT);
            }
            List<Piece> pieces = pieces(tensor, warp, lane);
            if (barrier == null) {
                store(warp, step, lane, tensor, at, pieces);
                return;
            }
            long signal = warp.r[barrier.row() + lane] + barrier.offset();
            if (blocks < 0) {
                load(warp, step, lane, tensor, at, signal, pieces);
                return;
            }
            int ranks = (int) warp.r[blocks + lane] & 0xFFFF;
            for (int rank = 0; rank < 16; rank++) {
                if ((ranks >>> rank & 1) != 0) {
                    if (rank >= warp.cta.cluster().ctas().size()) {
                        throw warp.fault(
                                Fault.Kind.ILLEGAL,
                                step,
                                lane,
                                "multicast to block " + rank + " of a cluster of "
                                        + warp.cta.cluster().ctas().size());
                    }
                    load(warp, step, lane, tensor, Windows.inBlock(at, rank), Windows.inBlock(signal, rank), pieces);
                }
            }
        }

        private TensorMap map(Warp warp, Step step, int lane) {
            AddressResolver.resolve(
                    warp,
                    step,
                    lane,
                    AddressResolver.Space.GENERIC,
                    warp.r[map.row() + lane] + map.offset(),
                    TensorMap.BYTES,
                    TensorMap.ALIGNMENT,
                    warp.access);
            TensorMap tensor = TensorMap.decode(warp.access.blocks[lane].data(), warp.access.offsets[lane]);
            if (tensor == null) {
                throw warp.fault(
                        Fault.Kind.ILLEGAL,
                        step,
                        lane,
                        "the bytes at 0x" + Long.toHexString(warp.r[map.row() + lane] + map.offset())
                                + " are not a tensor map of the simulator");
            }
            if (tensor.sizes().size() != coordinates.length) {
                throw warp.fault(
                        Fault.Kind.ILLEGAL,
                        step,
                        lane,
                        coordinates.length + " coordinates for a tensor map of "
                                + tensor.sizes().size() + " dimensions");
            }
            return tensor;
        }

        /** Divides the box into runs that are contiguous in shared memory and in the tensor, or outside it. */
        private List<Piece> pieces(TensorMap tensor, Warp warp, int lane) {
            int rank = coordinates.length;
            int n = tensor.element().bytes();
            int rows = tensor.boxBytes() / (tensor.copied(0) * n);
            List<Piece> pieces = new ArrayList<>();
            int[] index = new int[rank];
            int offset = 0;
            for (int row = 0; row < rows; row++) {
                long address = tensor.address();
                boolean inside = true;
                int rest = row;
                for (int d = 1; d < rank; d++) {
                    index[d] = rest % tensor.copied(d);
                    rest /= tensor.copied(d);
                    long at = (int) warp.r[coordinates[d] + lane]
                            + (long) index[d] * tensor.elementStrides().get(d);
                    inside &= at >= 0 && at < tensor.sizes().get(d);
                    address += at * tensor.strides().get(d - 1);
                }
                for (int i = 0; i < tensor.copied(0); i++) {
                    long at = (int) warp.r[coordinates[0] + lane]
                            + (long) i * tensor.elementStrides().get(0);
                    boolean there = inside && at >= 0 && at < tensor.sizes().get(0);
                    add(pieces, offset, there ? address + at * n : -1, n);
                    offset += n;
                }
            }
            return pieces;
        }

        /** Joins an element with the run before it, within a chunk that a swizzle keeps together. */
        private static void add(List<Piece> pieces, int offset, long address, int n) {
            Piece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
            if (last != null
                    && offset % 16 != 0
                    && last.sharedOffset + last.bytes == offset
                    && (address < 0 ? last.tensorAddress < 0 : last.tensorAddress + last.bytes == address)) {
                pieces.set(pieces.size() - 1, new Piece(last.sharedOffset, last.tensorAddress, last.bytes + n));
            } else {
                pieces.add(new Piece(offset, address, n));
            }
        }

        /** Resolves a piece in shared memory; returns its offset in the block, whose region is in the access. */
        private int sharedAt(Warp warp, Step step, int lane, TensorMap tensor, long at, Piece piece, Access access) {
            long address = tensor.swizzle().apply(at + piece.sharedOffset);
            AddressResolver.resolve(warp, step, lane, AddressResolver.Space.SHARED, address, piece.bytes, 1, access);
            return access.offsets[lane];
        }

        private Region tensorAt(Warp warp, Step step, int lane, Piece piece, Access access) {
            AddressResolver.resolve(
                    warp, step, lane, AddressResolver.Space.GLOBAL, piece.tensorAddress, piece.bytes, 1, access);
            return access.blocks[lane];
        }

        private void load(Warp warp, Step step, int lane, TensorMap tensor, long at, long signal, List<Piece> pieces) {
            Mbarrier there = MbarrierSteps.find(warp, step, lane, AddressResolver.Space.SHARED, signal);
            Async async = new Async(Async.Group.MBARRIER, there.phase(), there.current(), there);
            Access access = warp.access;
            List<Runnable> moves = new ArrayList<>();
            for (Piece piece : pieces) {
                Region source = null;
                int from = 0;
                if (piece.tensorAddress >= 0) {
                    source = tensorAt(warp, step, lane, piece, access);
                    from = access.offsets[lane];
                    CopySteps.notifyObservers(warp, step, 1 << lane, piece.bytes, Access.Kind.READ, async);
                }
                int to = sharedAt(warp, step, lane, tensor, at, piece, access);
                Region target = access.blocks[lane];
                if (there.cta().shared() != target) {
                    throw warp.fault(
                            Fault.Kind.ILLEGAL, step, lane, "the mbarrier is not in the block that is written to");
                }
                CopySteps.notifyObservers(warp, step, 1 << lane, piece.bytes, Access.Kind.WRITE, async);
                moves.add(move(tensor, source, from, target, to, piece.bytes));
            }
            there.owe(warp, step, lane);
            warp.cta.cluster().start(() -> {
                moves.forEach(Runnable::run);
                there.complete(tensor.boxBytes());
            });
        }

        private static Runnable move(
                TensorMap tensor, @Nullable Region source, int from, Region target, int to, int bytes) {
            if (source != null) {
                return () -> System.arraycopy(source.data(), from, target.data(), to, bytes);
            }
            int n = tensor.element().bytes();
            return () -> {
                for (int k = 0; k < bytes; k += n) {
                    target.store(to + k, n, tensor.fill());
                }
            };
        }

        private void store(Warp warp, Step step, int lane, TensorMap tensor, long at, List<Piece> pieces) {
            Lanewise.Three f = in.has(".reduce") ? BulkSteps.reduction(in, tensor.element()) : null;
            if (f == null && in.has(".reduce")) {
                throw warp.fault(Fault.Kind.ILLEGAL, step, lane, "the simulator does not support " + in.name());
            }
            Groups groups = warp.groups;
            Async reading = new Async(Async.Group.BULK_READ, groups.next(Async.Group.BULK_READ), null, null);
            Async writing = new Async(Async.Group.BULK, groups.next(Async.Group.BULK), null, null);
            Access access = warp.access;
            byte[] buffer = new byte[tensor.boxBytes()];
            List<Runnable> reads = new ArrayList<>();
            List<Runnable> writes = new ArrayList<>();
            for (Piece piece : pieces) {
                if (piece.tensorAddress < 0) {
                    continue; // outside the tensor nothing is written
                }
                int from = sharedAt(warp, step, lane, tensor, at, piece, access);
                Region source = access.blocks[lane];
                CopySteps.notifyObservers(warp, step, 1 << lane, piece.bytes, Access.Kind.READ, reading);
                Region target = tensorAt(warp, step, lane, piece, access);
                int to = access.offsets[lane];
                CopySteps.notifyObservers(
                        warp,
                        step,
                        1 << lane,
                        piece.bytes,
                        f == null ? Access.Kind.WRITE : Access.Kind.ATOMIC,
                        writing);
                reads.add(() -> System.arraycopy(source.data(), from, buffer, piece.sharedOffset, piece.bytes));
                writes.add(() -> write(tensor.element().bytes(), f, buffer, piece, target, to));
            }
            PendingWork read = warp.cta.cluster().start(() -> reads.forEach(Runnable::run));
            PendingWork write = warp.cta.cluster().start(() -> {
                read.complete();
                writes.forEach(Runnable::run);
            });
            groups.add(Async.Group.BULK_READ, step, 1 << lane, read);
            groups.add(Async.Group.BULK, step, 1 << lane, write);
        }

        private static void write(
                int n, Lanewise.@Nullable Three f, byte[] buffer, Piece piece, Region target, int to) {
            if (f == null) {
                System.arraycopy(buffer, piece.sharedOffset, target.data(), to, piece.bytes);
                return;
            }
            Region staged = new Region(Region.Space.SHARED, "staging", 0, piece.bytes);
            System.arraycopy(buffer, piece.sharedOffset, staged.data(), 0, piece.bytes);
            for (int k = 0; k < piece.bytes; k += n) {
                target.store(to + k, n, f.of(target.load(to + k, n), staged.load(k, n), 0));
            }
        }
    }
}
