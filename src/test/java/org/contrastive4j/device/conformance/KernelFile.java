package org.contrastive4j.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;

/** One small kernel on a device: its first parameter is the output, the others are inputs. */
final class KernelFile {
    /** Initial contents of outputs: a NaN that no kernel computes. */
    static final int POISON = 0x7FC0DEAD;

    private static final Pattern TARGET = Pattern.compile("^\\.target sm_(\\d+)(a?)$", Pattern.MULTILINE);

    private final PtxDevice device;
    private final Kernel kernel;

    private KernelFile(PtxDevice device, Kernel kernel) {
        this.device = device;
        this.kernel = kernel;
    }

    /** Loads the kernel of the file with this name. */
    static KernelFile of(PtxDevice device, String name) {
        return of(device, name, text(name));
    }

    /** Loads the kernel of this name from a text; skips the test on a device that cannot run the text's target. */
    static KernelFile of(PtxDevice device, String name, String ptx) {
        Matcher target = TARGET.matcher(ptx);
        assertEquals(true, target.find(), () -> "no .target in " + name);
        int required = Integer.parseInt(target.group(1));
        int given = device.facts().architecture();
        boolean runs = target.group(2).isEmpty() ? given >= required : given == required;
        assumeTrue(runs, () -> name + " is for " + target.group() + ", the device is sm_" + given);
        return new KernelFile(device, device.module(name + ".ptx", ptx).kernel(name));
    }

    private static String text(String name) {
        try (InputStream file = KernelFile.class.getResourceAsStream("/ptx/conformance/" + name + ".ptx")) {
            if (file == null) {
                throw new IllegalArgumentException("no file ptx/conformance/" + name + ".ptx");
            }
            return new String(file.readAllBytes(), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns {@code out}, the first argument, after the launch; arrays among the other arguments are uploaded. */
    int[] run(Launch launch, int[] out, Object... inputs) {
        return runAll(launch, out, inputs)[0];
    }

    /** Returns all arrays of words among the arguments after the launch, in their order. */
    int[][] runAll(Launch launch, int[] out, Object... inputs) {
        List<DeviceStorage> storages = new ArrayList<>();
        List<DeviceStorage> words = new ArrayList<>();
        try {
            Object[] arguments = new Object[inputs.length + 1];
            for (int i = 0; i < arguments.length; i++) {
                Object given = i == 0 ? out : inputs[i - 1];
                arguments[i] = upload(given);
                if (arguments[i] instanceof DeviceStorage storage) {
                    storages.add(storage);
                    if (given instanceof int[]) {
                        words.add(storage);
                    }
                }
            }
            kernel.launch(device.stream(), launch, arguments);
            device.synchronize();
            return words.stream().map(Devices::toInts).toArray(int[][]::new);
        } finally {
            storages.forEach(DeviceStorage::close);
        }
    }

    private Object upload(Object given) {
        if (given instanceof int[] ints) {
            return Devices.ints(device, ints);
        }
        if (given instanceof long[] longs) {
            return Devices.longs(device, longs);
        }
        return given;
    }

    /** Returns an array of poisoned words. */
    static int[] poisoned(int count) {
        int[] words = new int[count];
        Arrays.fill(words, POISON);
        return words;
    }

    /** Compares every word; the message names the word that differs. */
    static void assertWords(int[] expected, int[] actual, IntFunction<String> name) {
        assertEquals(expected.length, actual.length, "number of words");
        for (int i = 0; i < expected.length; i++) {
            int at = i;
            assertEquals(Integer.toHexString(expected[i]), Integer.toHexString(actual[i]), () -> name.apply(at));
        }
    }

    /** Compares every word of {@code each} words per thread. */
    static void assertWords(int[] expected, int[] actual, int each) {
        assertWords(expected, actual, i -> "thread " + i / each + ", word " + i % each);
    }
}
