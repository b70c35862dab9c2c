package org.contrastive4j.support;

import java.util.List;
import java.util.stream.Stream;

/**
 * Names of the backends that one test body runs on, for {@link TensorFixture}: kernels on the simulator always, on a
 * GPU when there is one. Kernels take other paths where tensors begin at multiples of 16 bytes, so they have two names.
 */
public final class Backends {
    /** After a name: tensors begin at multiples of 16 bytes. */
    static final String ALIGNED = " aligned";

    private Backends() {}

    /** Those that run kernels. */
    public static Stream<String> kernels() {
        return Devices.names().flatMap(name -> Stream.of(name, name + ALIGNED));
    }

    public static Stream<String> all() {
        return Stream.concat(Stream.of("cpu", "cpu-f64"), kernels());
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
