package org.contrastive4j.internal.f64;

import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Sequence operations as plain loops.
 *
 * <p>Tested by {@code SequenceOpsTest}.
 */
final class F64SequenceOps extends SequenceOps {
    F64SequenceOps() {
        super(DType.F64);
    }

    @Override
    protected void embeddingUnchecked(Tensor ids, Tensor table, Tensor y) {
        int width = table.dim(1);
        int[] rows = Indices.read("embedding", "ids", ids, table.dim(0));
        double[] from = Doubles.load(table);
        double[] to = Doubles.zerosLike(y);
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(from, rows[i] * width, to, i * width, width);
        }
        Doubles.store(to, y);
    }

    @Override
    protected void embeddingBackwardUnchecked(Tensor ids, Tensor dy, Tensor dTable) {
        int width = dTable.dim(1);
        int[] rows = Indices.read("embeddingBackward", "ids", ids, dTable.dim(0));
        double[] from = Doubles.load(dy);
        double[] to = Doubles.load(dTable);
        for (int i = 0; i < rows.length; i++) {
            Doubles.axpy(1, from, i * width, to, rows[i] * width, width);
        }
        Doubles.store(to, dTable);
    }

    @Override
    protected void addPositionsUnchecked(Tensor x, Tensor positions, Tensor y) {
        double[] to = Doubles.load(x);
        double[] from = Doubles.load(positions);
        int sample = x.dim(1) * x.dim(2);
        for (int b = 0; b < x.dim(0); b++) {
            Doubles.axpy(1, from, 0, to, b * sample, sample);
        }
        Doubles.store(to, y);
    }

    @Override
    protected void addPositionsBackwardUnchecked(Tensor dy, Tensor dPositions) {
        double[] from = Doubles.load(dy);
        double[] to = Doubles.load(dPositions);
        int sample = dy.dim(1) * dy.dim(2);
        for (int b = 0; b < dy.dim(0); b++) {
            Doubles.axpy(1, from, b * sample, to, 0, sample);
        }
        Doubles.store(to, dPositions);
    }

    @Override
    protected void prependTokenUnchecked(Tensor x, Tensor token, Tensor y) {
        int width = x.dim(2);
        int sample = x.dim(1) * width;
        double[] from = Doubles.load(x);
        double[] front = Doubles.load(token);
        double[] to = Doubles.zerosLike(y);
        for (int b = 0; b < x.dim(0); b++) {
            int at = b * (sample + width);
            System.arraycopy(front, 0, to, at, width);
            System.arraycopy(from, b * sample, to, at + width, sample);
        }
        Doubles.store(to, y);
    }

    @Override
    protected void prependTokenBackwardUnchecked(Tensor dy, @Nullable Tensor dx, @Nullable Tensor dToken) {
        int width = dy.dim(2);
        int sample = (dy.dim(1) - 1) * width;
        double[] from = Doubles.load(dy);
        if (dx != null) {
            double[] to = Doubles.zerosLike(dx);
            for (int b = 0; b < dy.dim(0); b++) {
                System.arraycopy(from, b * (sample + width) + width, to, b * sample, sample);
            }
            Doubles.store(to, dx);
        }
        if (dToken != null) {
            double[] to = Doubles.load(dToken);
            for (int b = 0; b < dy.dim(0); b++) {
                Doubles.axpy(1, from, b * (sample + width), to, 0, width);
            }
            Doubles.store(to, dToken);
        }
    }

    @Override
    protected void patchifyUnchecked(Tensor x, int kernel, int stride, int padding, Tensor y) {
        double[] picture = Doubles.load(x);
        double[] windows = Doubles.zerosLike(y);
        forEachPixel(
                x,
                kernel,
                stride,
                padding,
                (inPicture, inWindow) -> System.arraycopy(picture, inPicture, windows, inWindow, x.dim(3)));
        Doubles.store(windows, y);
    }

    @Override
    protected void patchifyBackwardUnchecked(Tensor dy, int kernel, int stride, int padding, Tensor dx) {
        double[] windows = Doubles.load(dy);
        double[] picture = Doubles.zerosLike(dx);
        forEachPixel(
                dx,
                kernel,
                stride,
                padding,
                (inPicture, inWindow) -> Doubles.axpy(1, windows, inWindow, picture, inPicture, dx.dim(3)));
        Doubles.store(picture, dx);
    }

    private interface Pixel {
        void visit(int inPicture, int inWindow);
    }

    /** Visits every pixel of every window that lies inside its picture, in the order of the windows. */
    private static void forEachPixel(Tensor x, int kernel, int stride, int padding, Pixel pixel) {
        int height = x.dim(1);
        int width = x.dim(2);
        int columns = patches(width, kernel, stride, padding);
        int windows = patches(height, kernel, stride, padding) * columns;
        int inWindow = 0;
        for (int w = 0; w < x.dim(0) * windows; w++) {
            int top = w % windows / columns * stride - padding;
            int left = w % columns * stride - padding;
            for (int k = 0; k < kernel * kernel; k++) {
                int r = top + k / kernel;
                int c = left + k % kernel;
                if (r >= 0 && r < height && c >= 0 && c < width) {
                    pixel.visit(((w / windows * height + r) * width + c) * x.dim(3), inWindow);
                }
                inWindow += x.dim(3);
            }
        }
    }

    @Override
    protected void meanPoolUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y) {
        int[] counts = Indices.readOr(x.dim(1), x.dim(0), "meanPool", "lengths", lengths, x.dim(1) + 1);
        int width = x.dim(2);
        double[] from = Doubles.load(x);
        double[] to = Doubles.zerosLike(y);
        for (int b = 0; b < counts.length; b++) {
            for (int t = 0; t < counts[b]; t++) {
                Doubles.axpy(1.0 / counts[b], from, (b * x.dim(1) + t) * width, to, b * width, width);
            }
        }
        Doubles.store(to, y);
    }

    @Override
    protected void meanPoolBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        int[] counts = Indices.readOr(dx.dim(1), dx.dim(0), "meanPoolBackward", "lengths", lengths, dx.dim(1) + 1);
        int width = dx.dim(2);
        double[] from = Doubles.load(dy);
        double[] to = Doubles.zerosLike(dx);
        for (int b = 0; b < counts.length; b++) {
            for (int t = 0; t < counts[b]; t++) {
                Doubles.axpy(1.0 / counts[b], from, b * width, to, (b * dx.dim(1) + t) * width, width);
            }
        }
        Doubles.store(to, dx);
    }

    @Override
    protected void selectTokenUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y) {
        int[] last = Indices.lastTokens(x.dim(0), "selectToken", lengths, x.dim(1));
        int width = x.dim(2);
        double[] from = Doubles.load(x);
        double[] to = Doubles.zerosLike(y);
        for (int b = 0; b < last.length; b++) {
            System.arraycopy(from, (b * x.dim(1) + last[b]) * width, to, b * width, width);
        }
        Doubles.store(to, y);
    }

    @Override
    protected void selectTokenBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        int[] last = Indices.lastTokens(dx.dim(0), "selectTokenBackward", lengths, dx.dim(1));
        int width = dx.dim(2);
        double[] from = Doubles.load(dy);
        double[] to = Doubles.zerosLike(dx);
        for (int b = 0; b < last.length; b++) {
            System.arraycopy(from, b * width, to, (b * dx.dim(1) + last[b]) * width, width);
        }
        Doubles.store(to, dx);
    }
}
