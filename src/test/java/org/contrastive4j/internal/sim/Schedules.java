package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSeeds;

/** Runs kernels on a buffer of zeros under every schedule. */
final class Schedules {
    private static final List<Integer> SCHEDULES = SampledSeeds.of(20, 5);

    private Schedules() {}

    static String kernel(String shared, String body) {
        return """
                .version 8.0
                .target sm_90
                .address_size 64
                %s
                .visible .entry k(.param .u64 pout)
                {
                .reg .pred %%p, %%q;
                .reg .b16 %%h<4>;
                .reg .b32 %%r<16>;
                .reg .b64 %%rd<8>;
                .reg .f32 %%f<8>;
                .reg .f64 %%d<8>;
                ld.param.u64 %%rd0, [pout];
                cvta.to.global.u64 %%rd0, %%rd0;
                mov.u32 %%r0, %%tid.x;
                mad.wide.u32 %%rd1, %%r0, 4, %%rd0;
                %s
                }
                """.formatted(shared, body);
    }

    /** Runs a kernel on a buffer of zeros under every schedule; returns the results, which must be the same. */
    static int[] run(Launch launch, int words, String text) {
        int[] first = null;
        for (int seed : SCHEDULES) {
            SimOptions options = SimOptions.defaults().withSeed(seed).withInstructionLimit(5_000_000);
            try (SimDevice device = SimDevice.open(options);
                    DeviceStorage out = Devices.ints(device, new int[words])) {
                device.module("k.ptx", text).kernel("k").launch(device.stream(), launch, out);
                int[] result = Devices.toInts(out);
                first = first == null ? result : first;
                assertArrayEquals(first, result, "schedule " + seed);
            }
        }
        return first;
    }

    /** Runs a kernel under every schedule; returns the fault, of one kind in all of them. */
    static Fault fault(Launch launch, int words, String text) {
        Fault first = null;
        for (int seed : SCHEDULES) {
            SimOptions options = SimOptions.defaults().withSeed(seed).withInstructionLimit(5_000_000);
            try (SimDevice device = SimDevice.open(options);
                    DeviceStorage out = Devices.ints(device, new int[words])) {
                Fault fault = assertThrows(
                        Fault.class,
                        () -> {
                            device.module("k.ptx", text).kernel("k").launch(device.stream(), launch, out);
                            device.synchronize();
                        },
                        "schedule " + seed);
                first = first == null ? fault : first;
                assertEquals(first.kind(), fault.kind(), "schedule " + seed + ": " + fault.getMessage());
            }
        }
        return first;
    }

    static int[] filled(int words, int value) {
        int[] all = new int[words];
        Arrays.fill(all, value);
        return all;
    }
}
