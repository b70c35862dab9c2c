package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.TrainingPrecision;
import org.contrastive4j.ops.UnsupportedPrecisionException;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Which backend computes in what. */
class BackendTest {
    static List<String> devices() {
        return Devices.names().toList();
    }

    private static void opens(String name) {
        List<TrainingPrecision> there = Backend.precisions(name);
        for (TrainingPrecision precision : there) {
            try (Ops ops = Backend.open(name, 1 << 20, precision)) {
                assertEquals(precision, ops.precision(), name);
                assertEquals(precision.activations(), ops.dtype(), name);
                assertEquals(precision == TrainingPrecision.F64 ? DType.F64 : DType.F32, ops.parameterDtype(), name);
                assertEquals(name, ops.name());
            }
        }
        try (Ops ops = Backend.open(name)) {
            assertEquals(there.get(0), ops.precision(), "its own choice comes first");
        }
    }

    @ParameterizedTest
    @CsvSource({"cpu", "cpu-f64"})
    void hostsComputeInOne(String name) {
        assertEquals(1, Backend.precisions(name).size());
        opens(name);
    }

    @Tag("gpu")
    @ParameterizedTest
    @MethodSource("devices")
    void devicesComputeInAllButF64(String name) {
        assertEquals(TrainingPrecision.values().length - 1, Backend.precisions(name).size());
        opens(name);
    }

    @ParameterizedTest
    @CsvSource({"cpu,BF16,'computes in f32, not in bf16; backends that do: cuda, sim'",
        "cpu,F64,'computes in f32, not in f64; backends that do: cpu-f64'",
        "cpu-f64,F32,'computes in f64, not in f32; backends that do: cpu, cuda, sim'",
        "sim,F64,'computes in f32, tf32, bf16, f16, not in f64; backends that do: cpu-f64'"})
    void anotherIsRefusedAndTheMessageSaysWhatThereIs(String name, TrainingPrecision precision, String message) {
        UnsupportedPrecisionException refused = assertThrows(UnsupportedPrecisionException.class,
                () -> Backend.open(name, Long.MAX_VALUE, precision));
        assertTrue(refused.getMessage().contains(message), refused.getMessage());
    }

    @Test
    void whatIsNoBackendIsRefused() {
        for (String name : List.of("tpu", "cuda:x", "")) {
            assertThrows(IllegalArgumentException.class, () -> Backend.open(name));
            assertThrows(IllegalArgumentException.class, () -> Backend.precisions(name));
        }
    }
}
