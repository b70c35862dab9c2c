package org.contrastive4j.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;

/** One program on one device, with its memory. */
final class NvccProgram implements AutoCloseable {
    /** Half the distance from 1 to the next float, the relative error of one operation. */
    static final double EPS = 0x1p-24;

    /** Guard bytes behind each output, which must not change. */
    private static final int GUARD = 32;

    private final PtxDevice device;
    private final String name;
    private final List<DeviceStorage> storages = new ArrayList<>();

    NvccProgram(Supplier<PtxDevice> opened, String name) {
        device = opened.get();
        this.name = name;
    }

    int architecture() {
        return device.facts().architecture();
    }

    DeviceStorage ints(int... values) {
        return kept(Devices.ints(device, values));
    }

    DeviceStorage longs(long... values) {
        return kept(Devices.longs(device, values));
    }

    DeviceStorage floats(float... values) {
        return kept(Devices.floats(device, values));
    }

    DeviceStorage halves(double... values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = halfBits(values[i]);
        }
        return kept(Devices.shorts(device, bits));
    }

    /** Allocates an output; output and guard are filled with 0xff, NaN or -1. */
    DeviceStorage output(int bytes) {
        byte[] poison = new byte[bytes + GUARD];
        Arrays.fill(poison, (byte) -1);
        return bytes(poison);
    }

    DeviceStorage bytes(byte... values) {
        DeviceStorage storage = kept(device.allocate(values.length));
        storage.upload(0, ByteBuffer.allocateDirect(values.length).put(values).flip());
        return storage;
    }

    private DeviceStorage kept(DeviceStorage storage) {
        storages.add(storage);
        return storage;
    }

    void launch(Launch launch, Object... arguments) {
        device.module(name + ".ptx", text(name)).kernel(name).launch(device.stream(), launch, arguments);
        device.stream().synchronize();
    }

    /** Checks the guard of an output and returns its bytes. */
    ByteBuffer result(DeviceStorage output) {
        ByteBuffer bytes = Devices.download(output);
        int end = bytes.capacity() - GUARD;
        for (int i = end; i < bytes.capacity(); i++) {
            assertEquals(-1, bytes.get(i), name + " wrote behind its output, at byte " + i);
        }
        return bytes.limit(end);
    }

    @Override
    public void close() {
        storages.forEach(DeviceStorage::close);
        device.close();
    }

    private static String text(String name) {
        try (InputStream file = NvccProgram.class.getResourceAsStream("/ptx/nvcc/" + name + ".ptx")) {
            return new String(file.readAllBytes(), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static float[] gaussian(long seed, int n) {
        Random random = new Random(seed);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Returns integers from -1000 to 1000. */
    static int[] integers(long seed, int n) {
        return new Random(seed).ints(n, -1000, 1001).toArray();
    }

    /** Checks that two values differ by at most the bound; NaN fails. */
    static void close(double expected, double got, double bound, String what) {
        assertTrue(
                expected == got || Math.abs(expected - got) <= bound,
                what + ": " + got + ", expected " + expected + " within " + bound);
    }

    /**
     * Rounds to the nearest number with so many fraction bits, ties to even, and a least exponent; without overflow.
     */
    static double narrow(double value, int bits, int least) {
        double unit = Math.scalb(1.0, Math.max(Math.getExponent(value), least) - bits);
        return Math.rint(value / unit) * unit;
    }

    /** Returns the f16 bits of a number that f16 represents. */
    static short halfBits(double value) {
        double size = Math.abs(value);
        int exponent = Math.max(Math.getExponent(size), -14);
        int digits = (int) Math.scalb(size, 10 - exponent);
        return (short) ((value < 0 ? 0x8000 : 0) | (digits >= 1024 ? (exponent + 15 << 10) + digits - 1024 : digits));
    }

    static double ofHalf(short bits) {
        int exponent = bits >> 10 & 31;
        int digits = bits & 1023;
        double size = exponent == 31
                ? digits == 0 ? Double.POSITIVE_INFINITY : Double.NaN
                : exponent == 0 ? Math.scalb((double) digits, -24) : Math.scalb(1024.0 + digits, exponent - 25);
        return bits < 0 ? -size : size;
    }
}
