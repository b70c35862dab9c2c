package org.contrastive4j.support;

import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;

/**
 * Names of the backends on which one test body runs, for {@link TensorFixture}: kernels run on the simulator, and on a
 * GPU if there is one. A second name stands for tensors aligned to 16 bytes, for which kernels take other paths.
 */
public final class Backends {
    /** Suffix of a name: tensors are aligned to 16 bytes. */
    static final String ALIGNED = " aligned";

    private static final List<Precision> ROUNDED = List.of(Precision.TF32, Precision.BF16, Precision.F16);

    private Backends() {}

    /** Opens a backend by name, with or without the suffix of alignment. */
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

    /** Returns the backends that run kernels on 16-bit activations. */
    public static Stream<String> sixteenBits() {
        return rounded().filter(name -> name.endsWith("16")).flatMap(name -> Stream.of(name, name + ALIGNED));
    }

    /** Returns one backend for each precision that rounds the operands of products. */
    public static Stream<String> rounded() {
        return Devices.names().flatMap(name -> ROUNDED.stream().map(precision -> name + " " + precision));
    }

    /** Returns the backends that run kernels in f32. */
    public static Stream<String> kernels() {
        return Devices.names().flatMap(name -> Stream.of(name, name + ALIGNED));
    }

    public static Stream<String> all() {
        return Stream.concat(Stream.of("cpu", "cpu-f64"), kernels());
    }

    /** Returns all backends, including those that round operands. */
    public static Stream<String> inAllPrecisions() {
        return Stream.concat(all(), rounded());
    }

    /** Returns each backend once, for tests that do not control alignment. */
    public static Stream<String> plain() {
        return Stream.concat(Stream.of("cpu", "cpu-f64"), Devices.names());
    }

    /** Returns the backends that compute in f32. */
    public static List<String> f32() {
        return Stream.concat(Stream.of("cpu"), kernels()).toList();
    }
}
