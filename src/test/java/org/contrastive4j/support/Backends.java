package org.contrastive4j.support;

import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;

/**
 * Names of the backends that one test body runs on, for {@link TensorFixture}: kernels on the simulator always, on a
 * GPU when there is one. Kernels take other paths where tensors begin at multiples of 16 bytes, so they have two names.
 */
public final class Backends {
    /** After a name: tensors begin at multiples of 16 bytes. */
    static final String ALIGNED = " aligned";

    private static final List<Precision> ROUNDED = List.of(Precision.TF32, Precision.BF16, Precision.F16);

    private Backends() {}

    /** A backend by name, without what is said after it of where tensors begin. */
    static Ops open(String name) {
        String plain = name.replace(ALIGNED, "");
        for (Precision precision : ROUNDED) {
            String suffix = " " + precision;
            if (plain.endsWith(suffix)) {
                String device = plain.substring(0, plain.length() - suffix.length());
                return new PtxOps(plain, Backend.device(device), precision);
            }
        }
        return Backend.open(plain);
    }

    /** Those that run kernels on activations of 16 bits. */
    public static Stream<String> sixteenBits() {
        return rounded().filter(name -> name.endsWith("16")).flatMap(name -> Stream.of(name, name + ALIGNED));
    }

    /** Those that run kernels in each precision that rounds operands of products, once. */
    public static Stream<String> rounded() {
        return Devices.names().flatMap(name -> ROUNDED.stream().map(precision -> name + " " + precision));
    }

    /** Those that run kernels in f32. */
    public static Stream<String> kernels() {
        return Devices.names().flatMap(name -> Stream.of(name, name + ALIGNED));
    }

    public static Stream<String> all() {
        return Stream.concat(Stream.of("cpu", "cpu-f64"), kernels());
    }

    /** All, and those that round operands. */
    public static Stream<String> inAllPrecisions() {
        return Stream.concat(all(), rounded());
    }

    /** All, each once, for tests whose tensors lie as they come. */
    public static Stream<String> plain() {
        return Stream.concat(Stream.of("cpu", "cpu-f64"), Devices.names());
    }

    /** Those whose numbers are f32. */
    public static List<String> f32() {
        return Stream.concat(Stream.of("cpu"), kernels()).toList();
    }
}
