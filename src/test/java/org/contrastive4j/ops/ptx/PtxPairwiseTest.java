package org.contrastive4j.ops.ptx;

import java.util.function.Supplier;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** InfoNCE in kernels against its definition, on every device. */
class PtxPairwiseTest {
    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void raggedSizesWithEveryKindOfTarget(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get()) {
            PtxPairwise pairwise = new PtxPairwise(device);
            for (int n : new int[] {1, 31, 32, 33, 103, 127, 128, 129}) {
                for (int d : new int[] {1, 3, 33, 64, 100}) {
                    long t = System.nanoTime();
                    new PairwiseCase(n, n, d, true, 10 + n).check(device, pairwise);
                    System.out.println(n + " " + d + " " + (System.nanoTime() - t) / 1000000);
                }
            }
        }
    }
}
