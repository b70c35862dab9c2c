package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.junit.jupiter.api.Named;

/**
 * The devices on which one test body runs: the simulator, and a GPU if there is one; {@code -Drequire=cuda} fails
 * without a GPU. {@code -Ddevice=cuda} or {@code -Ddevice=sim} selects one device.
 */
public final class Devices {
    private Devices() {}

    /** Returns the devices, for {@code @MethodSource}; the test closes a device that it opens. */
    public static Stream<Named<Supplier<PtxDevice>>> all() {
        return names().map(name -> Named.of(name, () -> Backend.device(name)));
    }

    public static Stream<String> names() {
        List<String> devices = new ArrayList<>();
        String only = System.getProperty("device", "");
        if (!only.equals("cuda")) {
            devices.add("sim");
        }
        if (only.equals("sim")) {
            return devices.stream();
        }
        boolean required = "cuda".equals(System.getProperty("require"));
        try (PtxDevice probe = Backend.device("cuda")) {
            assertNotEquals("", probe.facts().name());
            devices.add("cuda");
        } catch (NoDeviceException e) {
            if (required) {
                throw new AssertionError("-Drequire=cuda, but " + e.getMessage(), e);
            }
        }
        return devices.stream();
    }

    public static DeviceStorage ints(PtxDevice device, int... values) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(values.length * 4).order(ByteOrder.nativeOrder());
        bytes.asIntBuffer().put(values);
        return bytes(device, bytes);
    }

    public static DeviceStorage longs(PtxDevice device, long... values) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(values.length * 8).order(ByteOrder.nativeOrder());
        bytes.asLongBuffer().put(values);
        return bytes(device, bytes);
    }

    public static DeviceStorage floats(PtxDevice device, float... values) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(values.length * 4).order(ByteOrder.nativeOrder());
        bytes.asFloatBuffer().put(values);
        return bytes(device, bytes);
    }

    public static DeviceStorage shorts(PtxDevice device, short... values) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(values.length * 2).order(ByteOrder.nativeOrder());
        bytes.asShortBuffer().put(values);
        return bytes(device, bytes);
    }

    private static DeviceStorage bytes(PtxDevice device, ByteBuffer bytes) {
        DeviceStorage storage = device.allocate(bytes.capacity());
        storage.upload(0, bytes);
        return storage;
    }

    /** Returns all bytes of a storage. */
    public static ByteBuffer download(DeviceStorage storage) {
        ByteBuffer bytes =
                ByteBuffer.allocateDirect(Math.toIntExact(storage.bytes())).order(ByteOrder.nativeOrder());
        storage.download(0, bytes);
        return bytes.rewind();
    }

    public static int[] toInts(DeviceStorage storage) {
        int[] values = new int[Math.toIntExact(storage.bytes() / 4)];
        download(storage).asIntBuffer().get(values);
        return values;
    }

    public static long[] toLongs(DeviceStorage storage) {
        long[] values = new long[Math.toIntExact(storage.bytes() / 8)];
        download(storage).asLongBuffer().get(values);
        return values;
    }

    public static float[] toFloats(DeviceStorage storage) {
        float[] values = new float[Math.toIntExact(storage.bytes() / 4)];
        download(storage).asFloatBuffer().get(values);
        return values;
    }

    public static short[] toShorts(DeviceStorage storage) {
        short[] values = new short[Math.toIntExact(storage.bytes() / 2)];
        download(storage).asShortBuffer().get(values);
        return values;
    }
}
