package org.contrastive4j.pretrained;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.data.Preprocessing;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.internal.safetensors.SafetensorsException;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Reads a checkpoint into the parameters of a model.
 *
 * <p>Files are read in blocks by position and converted on the way into the parameter, so the weights exist once. The
 * pages of a mapped file would count as resident memory a second time. Memory: a few blocks for each worker; for a
 * device, also one parameter whose order differs from the file's.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class WeightReader {
    private static final int BLOCK = 1 << 16; // elements
    private static final int ROWS = 16; // number of rows that are transposed at a time

    private final CheckpointFiles files;
    private final Map<String, Slot> slots;
    private final Map<String, Tensor> parameters;
    private final ThreadLocal<Scratch> scratch = ThreadLocal.withInitial(Scratch::new);

    WeightReader(CheckpointFiles files, Map<String, Slot> slots, Map<String, Tensor> parameters) {
        this.files = files;
        this.slots = slots;
        this.parameters = parameters;
    }

    /**
     * Checks names, shapes and types of all tensors.
     *
     * @throws PretrainedException naming every missing, superfluous and misshapen tensor, a few of each
     */
    void check() {
        List<String> problems = new ArrayList<>();
        List<String> missing = new ArrayList<>();
        for (Slot slot : slots.values()) {
            Entry entry = files.entries().get(slot.tensor());
            if (entry == null) {
                missing.add(slot.tensor() + " " + Arrays.toString(slot.shape()));
            } else if (!slot.fits(entry.shape())) {
                problems.add(slot.tensor() + " is " + entry + ", expected shape " + Arrays.toString(slot.shape()));
            } else if (Elements.dtype(entry.dtype()) == null) {
                problems.add(slot.tensor() + " is " + entry + ", expected F32, F16, BF16 or F64");
            }
        }
        List<String> superfluous = files.entries().keySet().stream()
                .filter(name -> !slots.containsKey(name) && !TensorNames.isBuffer(name))
                .toList();
        missing.forEach(name -> problems.add(name + " is missing"));
        superfluous.forEach(name -> {
            Entry entry = Objects.requireNonNull(files.entries().get(name));
            problems.add(name + " " + Arrays.toString(entry.shape()) + " is superfluous");
        });
        if (!problems.isEmpty()) {
            throw new PretrainedException("the weights in " + files.folder() + " do not fit their configuration, "
                    + problems.size() + " tensors differ:\n  " + String.join("\n  ", problems));
        }
    }

    /** Fills every parameter, after {@link #check}. */
    void read() {
        Map<String, List<Slot>> byParameter = new LinkedHashMap<>();
        slots.values()
                .forEach(slot -> byParameter
                        .computeIfAbsent(slot.parameter(), name -> new ArrayList<>())
                        .add(slot));
        List<Map.Entry<String, List<Slot>>> largestFirst = byParameter.entrySet().stream()
                .sorted(Comparator.comparingLong(
                        entry -> -parameter(entry.getKey()).size()))
                .toList();
        try {
            largestFirst.parallelStream().forEach(entry -> fill(parameter(entry.getKey()), entry.getValue()));
        } catch (SafetensorsException e) {
            throw new PretrainedException(String.valueOf(e.getMessage()), e);
        }
    }

    private Tensor parameter(String name) {
        return Objects.requireNonNull(parameters.get(name), name);
    }

    private void fill(Tensor parameter, List<Slot> from) {
        if (from.get(0).parameter().equals("image.positions") && from.get(0).size() != parameter.size()) {
            interpolate(from.get(0), parameter);
            return;
        }
        if (from.stream().allMatch(Slot::isContiguous)) {
            from.forEach(slot -> stream(slot, parameter));
            return;
        }
        if (parameter.storage() instanceof HostStorage
                && from.stream().allMatch(slot -> slot.isContiguous() || slot.strides()[0] == 1)) {
            from.forEach(slot -> {
                if (slot.isContiguous()) {
                    stream(slot, parameter);
                } else {
                    transpose(slot, parameter);
                }
            });
            return;
        }
        int size = Math.toIntExact(parameter.size());
        float[] values = scratch.get().whole(size);
        from.forEach(slot -> scatter(slot, values));
        upload(values, size, parameter, 0);
    }

    /** Positions of a square grid for another grid; one in front, of a class token, stays. */
    private void interpolate(Slot slot, Tensor parameter) {
        int width = parameter.dim(-1);
        int rows = Math.toIntExact(slot.size() / width);
        int side = (int) Math.sqrt(rows);
        int front = rows - side * side;
        int toSide = (int) Math.sqrt(parameter.dim(0) - front);
        float[] values = new float[rows * width];
        new Blocks(slot).read(0, values.length, values);
        float[] grid = Preprocessing.Filter.BICUBIC.resize(
                Arrays.copyOfRange(values, front * width, values.length), side, width, toSide);
        float[] all = Arrays.copyOf(values, front * width + grid.length);
        System.arraycopy(grid, 0, all, front * width, grid.length);
        upload(all, all.length, parameter, 0);
    }

    private void stream(Slot slot, Tensor parameter) {
        float[] values = scratch.get().block(BLOCK);
        Blocks blocks = new Blocks(slot);
        for (long at = 0; at < slot.size(); at += BLOCK) {
            int count = (int) Math.min(BLOCK, slot.size() - at);
            blocks.read(at, count, values);
            upload(values, count, parameter, slot.offset() + at);
        }
    }

    /**
     * Transposes a tensor in tiles of some rows, each of which is a run of columns of the parameter. Writing short runs
     * is cheap only in host memory.
     */
    private void transpose(Slot slot, Tensor parameter) {
        int rows = slot.shape()[0];
        int rowSize = Math.toIntExact(slot.size() / rows);
        DType dtype = parameter.dtype();
        Scratch own = scratch.get();
        float[] values = own.block(ROWS * rowSize);
        float[] tile = own.tile(ROWS * rowSize);
        int[] offsets = rowOffsets(slot, rowSize);
        Blocks blocks = new Blocks(slot);
        for (int row = 0; row < rows; row += ROWS) {
            int count = Math.min(ROWS, rows - row);
            blocks.read((long) row * rowSize, count * rowSize, values);
            for (int i = 0; i < rowSize; i++) {
                for (int k = 0; k < count; k++) {
                    tile[i * count + k] = values[k * rowSize + i];
                }
            }
            ByteBuffer bytes = own.bytes(count * rowSize * dtype.bytes());
            Elements.encode(tile, 0, count * rowSize, dtype, bytes);
            long first = parameter.offset() + slot.offset() + row;
            for (int i = 0; i < rowSize; i++) {
                bytes.limit((i + 1) * count * dtype.bytes()).position(i * count * dtype.bytes());
                parameter.storage().upload((first + offsets[i]) * dtype.bytes(), bytes);
            }
        }
    }

    private void scatter(Slot slot, float[] target) {
        int[] shape = slot.shape();
        int rows = shape[0];
        int rowSize = Math.toIntExact(slot.size() / rows);
        float[] values = scratch.get().block(Math.min(ROWS, rows) * rowSize);
        int[] offsets = rowOffsets(slot, rowSize);
        Blocks blocks = new Blocks(slot);
        for (int row = 0; row < rows; row += ROWS) {
            int count = Math.min(ROWS, rows - row);
            blocks.read((long) row * rowSize, count * rowSize, values);
            long first = slot.offset() + row * slot.strides()[0];
            int stride = Math.toIntExact(slot.strides()[0]);
            for (int i = 0; i < rowSize; i++) {
                int to = (int) first + offsets[i];
                for (int r = 0; r < count; r++) {
                    target[to + r * stride] = values[r * rowSize + i];
                }
            }
        }
    }

    /** Where the elements of one row of a tensor go, counted from where its first one goes. */
    static int[] rowOffsets(Slot slot, int rowSize) {
        int[] offsets = new int[rowSize];
        int[] shape = slot.shape();
        for (int i = 0; i < rowSize; i++) {
            int rest = i;
            long offset = 0;
            for (int axis = shape.length - 1; axis > 0; axis--) {
                offset += rest % shape[axis] * slot.strides()[axis];
                rest /= shape[axis];
            }
            offsets[i] = Math.toIntExact(offset);
        }
        return offsets;
    }

    private void upload(float[] values, int count, Tensor parameter, long at) {
        DType dtype = parameter.dtype();
        ByteBuffer bytes = scratch.get().bytes(Math.min(BLOCK, count) * dtype.bytes());
        for (int done = 0; done < count; done += BLOCK) {
            Elements.encode(values, done, Math.min(BLOCK, count - done), dtype, bytes);
            parameter.storage().upload((parameter.offset() + at + done) * dtype.bytes(), bytes);
        }
    }

    /** What a worker uses again for each parameter, so that reading leaves no garbage of the size of the weights. */
    private static final class Scratch {
        private float[] whole = new float[0];
        private float[] block = new float[0];
        private float[] tile = new float[0];
        private ByteBuffer bytes = Elements.buffer(0);

        float[] whole(int size) {
            whole = whole.length < size ? new float[size] : whole;
            return whole;
        }

        float[] block(int size) {
            block = block.length < size ? new float[size] : block;
            return block;
        }

        float[] tile(int size) {
            tile = tile.length < size ? new float[size] : tile;
            return tile;
        }

        /** Empty, with that limit. */
        ByteBuffer bytes(int size) {
            bytes = bytes.capacity() < size ? Elements.buffer(size) : bytes;
            return bytes.clear().limit(size);
        }
    }

    /** Reads runs of elements of one tensor. */
    private final class Blocks {
        private final Slot slot;
        private final Entry entry;
        private final DType dtype;

        Blocks(Slot slot) {
            this.slot = slot;
            entry = Objects.requireNonNull(files.entries().get(slot.tensor())); // see check
            dtype = Objects.requireNonNull(Elements.dtype(entry.dtype()));
        }

        void read(long at, int count, float[] to) {
            ByteBuffer bytes = scratch.get().bytes(count * dtype.bytes());
            files.shardOf(slot.tensor()).read(entry, at * dtype.bytes(), bytes);
            int wrong = Elements.decode(bytes, dtype, to, count);
            if (wrong >= 0) {
                throw new PretrainedException("tensor " + slot.tensor() + " of " + files.folder() + " has "
                        + to[wrong] + " at element " + (at + wrong) + ", expected finite weights;"
                        + " take a checkpoint from before training diverged");
            }
        }
    }
}
