package org.contrastive4j.bench.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;

/**
 * Rows of both sides before normalisation: u is random, v is half its u plus random numbers. Equal seeds
 * give equal rows.
 */
record Features(float[][] u, float[][] v) {
    private static final int CHUNK_BYTES = 64 << 20;

    static Features random(long seed, int n, int d) {
        float[][] u = new float[n][d];
        float[][] v = new float[n][d];
        IntStream.range(0, n).parallel().forEach(i -> {
            SplittableRandom random = new SplittableRandom(seed * 1_000_003 + i);
            for (int k = 0; k < d; k++) {
                u[i][k] = (float) (2 * random.nextDouble() - 1);
                v[i][k] = (float) (2 * random.nextDouble() - 1) + 0.5f * u[i][k];
            }
        });
        return new Features(u, v);
    }

    int d() {
        return u[0].length;
    }

    /** Uploads rows as f32; the caller closes the storage. */
    static DeviceStorage upload(PtxDevice device, float[][] rows) {
        long rowBytes = 4L * rows[0].length;
        DeviceStorage storage = device.allocate(rows.length * rowBytes);
        int rowsOfChunk = (int) Math.max(1, Math.min(rows.length, CHUNK_BYTES / rowBytes));
        ByteBuffer chunk =
                ByteBuffer.allocateDirect((int) (rowsOfChunk * rowBytes)).order(ByteOrder.nativeOrder());
        for (int first = 0; first < rows.length; first += rowsOfChunk) {
            int last = Math.min(rows.length, first + rowsOfChunk);
            chunk.clear();
            for (int i = first; i < last; i++) {
                for (float value : rows[i]) {
                    chunk.putFloat(value);
                }
            }
            storage.upload(first * rowBytes, chunk.flip());
        }
        return storage;
    }
}
