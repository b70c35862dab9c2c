package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Sequence operations in f32: one task per sample, or per block of elements where samples are summed.
 *
 * <p>Tested by {@code SequenceOpsTest}.
 */
final class CpuSequenceOps extends SequenceOps {
    private static final int ROWS = 64; // table rows or ids of one task
    private static final int ELEMENTS = 2048; // of one task that sums over samples

    CpuSequenceOps() {
        super(DType.F32);
    }

    /** Loads elements into the middle of an array. */
    private static void load(Tensor tensor, long at, float[] target, int start, int count) {
        ((HostStorage) tensor.storage()).load(tensor.offset() + at, target, start, count);
    }

    private static int blocks(int count, int size) {
        return (count + size - 1) / size;
    }

    /** Computes y[atY ...] += x[atX ...]. */
    private static void add(float[] x, int atX, float[] y, int atY, int count) {
        for (int i = 0; i < count; i++) {
            y[atY + i] += x[atX + i];
        }
    }

    @Override
    protected void embeddingUnchecked(Tensor ids, Tensor table, Tensor y) {
        int width = table.dim(1);
        int[] rows = Indices.read("embedding", "ids", ids, table.dim(0));
        Workers.run(blocks(rows.length, ROWS), block -> {
            int from = block * ROWS;
            int count = Math.min(ROWS, rows.length - from);
            float[] found = Scratch.floats(0, ROWS * width);
            for (int i = 0; i < count; i++) {
                load(table, (long) rows[from + i] * width, found, i * width, width);
            }
            Rows.store(y, (long) from * width, count * width, found);
        });
    }

    /** Groups the occurrences by table row, in order within a row, so that each row belongs to one task. */
    @Override
    protected void embeddingBackwardUnchecked(Tensor ids, Tensor dy, Tensor dTable) {
        int vocabulary = dTable.dim(0);
        int width = dTable.dim(1);
        int[] rows = Indices.read("embeddingBackward", "ids", ids, vocabulary);
        int[] groupEnd = new int[vocabulary + 1];
        for (int row : rows) {
            groupEnd[row + 1]++;
        }
        for (int row = 0; row < vocabulary; row++) {
            groupEnd[row + 1] += groupEnd[row];
        }
        int[] grouped = new int[rows.length];
        for (int i = 0; i < rows.length; i++) {
            grouped[groupEnd[rows[i]]++] = i; // turns the start of each group into its end
        }
        Workers.run(blocks(vocabulary, ROWS), block -> {
            int last = Math.min(vocabulary, (block + 1) * ROWS);
            for (int row = block * ROWS; row < last; row++) {
                int start = row == 0 ? 0 : groupEnd[row - 1];
                if (start < groupEnd[row]) {
                    float[] sum = Rows.load(dTable, (long) row * width, width, 0);
                    for (int g = start; g < groupEnd[row]; g++) {
                        Rows.add(Rows.load(dy, (long) grouped[g] * width, width, 1), sum, width);
                    }
                    Rows.store(dTable, (long) row * width, width, sum);
                }
            }
        });
    }

    @Override
    protected void addPositionsUnchecked(Tensor x, Tensor positions, Tensor y) {
        int sample = x.dim(1) * x.dim(2);
        Workers.run(x.dim(0), b -> {
            float[] tokens = Rows.load(x, (long) b * sample, sample, 0);
            float[] places = Rows.load(positions, 0, sample, 1);
            Rows.add(places, tokens, sample);
            Rows.store(y, (long) b * sample, sample, tokens);
        });
    }

    @Override
    protected void addPositionsBackwardUnchecked(Tensor dy, Tensor dPositions) {
        int sample = dy.dim(1) * dy.dim(2);
        sumOverSamples(dy, sample, sample, dPositions);
    }

    /** Computes target += sum over b of the first {@code count} elements of sample b, in the order of b. */
    private static void sumOverSamples(Tensor samples, int sample, int count, Tensor target) {
        Workers.run(blocks(count, ELEMENTS), block -> {
            int from = block * ELEMENTS;
            int part = Math.min(ELEMENTS, count - from);
            float[] sum = Scratch.floats(0, ELEMENTS);
            Arrays.fill(sum, 0, part, 0);
            for (int b = 0; b < samples.dim(0); b++) {
                Rows.add(Rows.load(samples, (long) b * sample + from, part, 1), sum, part);
            }
            float[] total = Rows.load(target, from, part, 1);
            Rows.add(sum, total, part);
            Rows.store(target, from, part, total);
        });
    }

    @Override
    protected void prependTokenUnchecked(Tensor x, Tensor token, Tensor y) {
        int width = x.dim(2);
        int sample = x.dim(1) * width;
        Workers.run(x.dim(0), b -> {
            float[] tokens = Scratch.floats(0, width + sample);
            load(token, 0, tokens, 0, width);
            load(x, (long) b * sample, tokens, width, sample);
            Rows.store(y, (long) b * (width + sample), width + sample, tokens);
        });
    }

    @Override
    protected void prependTokenBackwardUnchecked(Tensor dy, @Nullable Tensor dx, @Nullable Tensor dToken) {
        int width = dy.dim(2);
        int sample = (dy.dim(1) - 1) * width;
        if (dx != null) {
            Workers.run(dy.dim(0), b -> {
                float[] tokens = Rows.load(dy, (long) b * (width + sample) + width, sample, 0);
                Rows.store(dx, (long) b * sample, sample, tokens);
            });
        }
        if (dToken != null) {
            sumOverSamples(dy, width + sample, width, dToken);
        }
    }

    @Override
    protected void patchifyUnchecked(Tensor x, int kernel, int stride, int padding, Tensor y) {
        Windows windows = new Windows(x, kernel, stride, padding);
        Workers.run(x.dim(0), b -> {
            float[] picture = Rows.load(x, (long) b * windows.pictureSize(), windows.pictureSize(), 0);
            float[] patches = Scratch.floats(1, windows.size());
            Arrays.fill(patches, 0, windows.size(), 0);
            windows.forEachRow(
                    (inPicture, inWindows, count) -> System.arraycopy(picture, inPicture, patches, inWindows, count));
            Rows.store(y, (long) b * windows.size(), windows.size(), patches);
        });
    }

    @Override
    protected void patchifyBackwardUnchecked(Tensor dy, int kernel, int stride, int padding, Tensor dx) {
        Windows windows = new Windows(dx, kernel, stride, padding);
        Workers.run(dx.dim(0), b -> {
            float[] picture = Scratch.floats(0, windows.pictureSize());
            float[] patches = Rows.load(dy, (long) b * windows.size(), windows.size(), 1);
            Arrays.fill(picture, 0, windows.pictureSize(), 0);
            windows.forEachRow((inPicture, inWindows, count) -> add(patches, inWindows, picture, inPicture, count));
            Rows.store(dx, (long) b * windows.pictureSize(), windows.pictureSize(), picture);
        });
    }

    /** The windows of one picture: which part of each of their rows lies inside the picture, and where. */
    private record Windows(int height, int width, int channels, int kernel, int stride, int padding) {
        interface Row {
            void visit(int inPicture, int inWindows, int count);
        }

        Windows(Tensor x, int kernel, int stride, int padding) {
            this(x.dim(1), x.dim(2), x.dim(3), kernel, stride, padding);
        }

        int pictureSize() {
            return height * width * channels;
        }

        int size() {
            return rows() * columns() * kernel * kernel * channels;
        }

        int rows() {
            return patches(height, kernel, stride, padding);
        }

        int columns() {
            return patches(width, kernel, stride, padding);
        }

        /** Visits the rows of the windows in order. */
        void forEachRow(Row row) {
            int inWindows = 0;
            for (int top = -padding; top < rows() * stride - padding; top += stride) {
                for (int left = -padding; left < columns() * stride - padding; left += stride) {
                    int from = Math.max(0, left);
                    int count = Math.min(width, left + kernel) - from;
                    for (int r = top; r < top + kernel; r++, inWindows += kernel * channels) {
                        if (r >= 0 && r < height) {
                            row.visit(
                                    (r * width + from) * channels,
                                    inWindows + (from - left) * channels,
                                    count * channels);
                        }
                    }
                }
            }
        }
    }

    @Override
    protected void meanPoolUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y) {
        int[] counts = Indices.readOr(x.dim(1), x.dim(0), "meanPool", "lengths", lengths, x.dim(1) + 1);
        int width = x.dim(2);
        Workers.run(counts.length, b -> {
            float[] mean = Scratch.floats(1, width);
            Arrays.fill(mean, 0, width, 0);
            for (int t = 0; t < counts[b]; t++) {
                Rows.add(Rows.load(x, ((long) b * x.dim(1) + t) * width, width, 0), mean, width);
            }
            divide(mean, width, counts[b]);
            Rows.store(y, (long) b * width, width, mean);
        });
    }

    /** Divides by the count; leaves zeros if the count is 0. */
    private static void divide(float[] values, int width, int count) {
        float share = count == 0 ? 0 : 1f / count;
        for (int i = 0; i < width; i++) {
            values[i] *= share;
        }
    }

    @Override
    protected void meanPoolBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        int tokens = dx.dim(1);
        int width = dx.dim(2);
        int[] counts = Indices.readOr(tokens, dx.dim(0), "meanPoolBackward", "lengths", lengths, tokens + 1);
        Workers.run(counts.length, b -> {
            float[] share = Rows.load(dy, (long) b * width, width, 0);
            float[] all = Scratch.floats(1, tokens * width);
            divide(share, width, counts[b]);
            for (int t = 0; t < counts[b]; t++) {
                System.arraycopy(share, 0, all, t * width, width);
            }
            Arrays.fill(all, counts[b] * width, tokens * width, 0);
            Rows.store(dx, (long) b * tokens * width, tokens * width, all);
        });
    }

    @Override
    protected void selectTokenUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y) {
        int[] last = Indices.lastTokens(x.dim(0), "selectToken", lengths, x.dim(1));
        int width = x.dim(2);
        for (int b = 0; b < last.length; b++) {
            float[] token = Rows.load(x, ((long) b * x.dim(1) + last[b]) * width, width, 0);
            Rows.store(y, (long) b * width, width, token);
        }
    }

    @Override
    protected void selectTokenBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        int tokens = dx.dim(1);
        int width = dx.dim(2);
        int[] last = Indices.lastTokens(dx.dim(0), "selectTokenBackward", lengths, tokens);
        Workers.run(last.length, b -> {
            float[] all = Scratch.floats(0, tokens * width);
            Arrays.fill(all, 0, tokens * width, 0);
            load(dy, (long) b * width, all, last[b] * width, width);
            Rows.store(dx, (long) b * tokens * width, tokens * width, all);
        });
    }
}
