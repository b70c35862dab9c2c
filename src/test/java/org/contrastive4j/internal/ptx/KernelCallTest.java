package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Arguments given by name: a wrong name, a wrong order and a missing argument are refused before the launch. */
class KernelCallTest {
    @ParameterizedTest
    @CsvSource({
        "rowSums, ROW_SUMS, true",
        "rowSums, pRowSums, true",
        "rowSums, rowSums, true",
        "p, P, true",
        "parts, PARTS, true",
        "n, pN, true",
        "n, pM, false",
        "rowSum, ROW_SUMS, false",
        "rowSums, ROW_SUM, false"
    })
    void isSame_spelling_matchesPtxDeclaration(String camelCase, String declared, boolean expected) {
        assertEquals(expected, KernelCall.isSame(camelCase, declared));
    }

    @Test
    void call_argumentsInWrongOrderOrMissing_isRefused() {
        try (PtxDevice device = Backend.device("sim")) {
            Kernel kernel = new Kernels(device).get("pairwise_scalars_f32");
            String exchanged = assertThrows(
                            LaunchException.class,
                            () -> KernelCall.of(kernel).pointer("sums", 16).pointer("dLogScale", 32))
                    .getMessage();
            assertTrue(exchanged.contains("argument 2: expected parameter"), exchanged);
            assertTrue(exchanged.endsWith("got dLogScale"), exchanged);
            String missing = assertThrows(
                            LaunchException.class,
                            () -> KernelCall.of(kernel).pointer("sums", 16).launch(device.stream(), Launch.of(1, 256)))
                    .getMessage();
            assertTrue(missing.endsWith("has no argument"), missing);
        }
    }
}
