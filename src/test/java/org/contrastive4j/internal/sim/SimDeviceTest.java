package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import org.contrastive4j.device.DeviceContract;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Signatures;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Schedule;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;

/**
 * The simulator as a device: what it refuses, what it reports, and that its results depend on nothing but the program.
 */
class SimDeviceTest extends DeviceContract<SimDevice> {
    private static final Launch ONE = Launch.of(1, 32);

    @Override
    protected SimDevice open() {
        return SimDevice.open(SimOptions.defaults().withMemoryLimit(1 << 28));
    }

    private static String kernel(String directives, String body) {
        return """
                .version 8.0
                .target sm_80
                .address_size 64
                .visible .entry k(.param .u64 p_out)
                DIRECTIVES
                {
                .reg .pred %p;
                .reg .b16 %h;
                .reg .b32 %r<8>;
                .reg .b64 %rd<4>;
                .reg .f32 %f<4>;
                ld.param.u64 %rd0, [p_out];
                """.replace("DIRECTIVES", directives) + body + "\nret;\n}\n";
    }

    private Kernel load(String text) {
        return device.module("k.ptx", text).kernel("k");
    }

    private static String message(Class<? extends RuntimeException> type, Runnable wrong) {
        return assertThrows(type, wrong::run).getMessage();
    }

    private static void says(String words, String message) {
        assertTrue(message.contains(words), message);
    }

    @Test
    void facts_byDefault_areThoseOfAHopper() {
        assertEquals(90, device.facts().architecture());
        assertEquals(227 << 10, device.facts().sharedBytesPerBlock());
        assertEquals(1 << 28, device.limitBytes());
        assertTrue(device.facts().memoryBytes() <= 1 << 28);
        for (int architecture : new int[] {80, 86, 89, 90}) {
            try (SimDevice other = SimDevice.open(SimOptions.defaults().withArchitecture(architecture))) {
                assertEquals(architecture, other.facts().architecture());
            }
        }
        assertThrows(IllegalArgumentException.class, () -> SimOptions.defaults().withArchitecture(75));
        assertThrows(IllegalArgumentException.class, () -> SimOptions.defaults().withMemoryLimit(0));
        assertThrows(IllegalArgumentException.class, () -> SimOptions.defaults().withInstructionLimit(0));
    }

    @Test
    void launch_wrongArguments_isRefused() {
        Kernel saxpy = saxpy();
        try (DeviceStorage y = Devices.floats(device, 1)) {
            DeviceStream stream = device.stream();
            says("3 arguments, expected 4", message(LaunchException.class, () -> saxpy.launch(stream, ONE, y, y, 1f)));
            says(
                    "parameter .f32 a was given the Double 1.0",
                    message(LaunchException.class, () -> saxpy.launch(stream, ONE, y, y, 1.0, 1)));
            says(
                    "parameter .u32 n was given the Long 1",
                    message(LaunchException.class, () -> saxpy.launch(stream, ONE, y, y, 1f, 1L)));
            says(
                    "parameter .u64 x was given null",
                    message(LaunchException.class, () -> saxpy.launch(stream, ONE, y, null, 1f, 1)));
            says(
                    "parameter .f32 a was given a storage",
                    message(LaunchException.class, () -> saxpy.launch(stream, ONE, y, y, y, 1)));
            says("the stream is null", message(LaunchException.class, () -> saxpy.launch(null, ONE, y, y, 1f, 1)));
        }
    }

    @Test
    void launch_tooLargeGridBlockOrSharedMemory_isRefused() {
        for (int[] sizes : new int[][] {
            {0, 1, 1, 1}, {1, 0, 1, 1}, {-1, 1, 1, 1}, {1, 65_536, 1, 1}, {1, 1, 0, 1}, {1, 1, 1025, 1}, {1, 1, 1, 65}
        }) {
            assertThrows(
                    LaunchException.class,
                    () -> Launch.of(new Launch.Dim(sizes[0], sizes[1], 1), new Launch.Dim(sizes[2], 1, sizes[3])));
        }
        assertThrows(LaunchException.class, () -> ONE.shared(-1));
        Kernel nothing = device.module("saxpy.ptx", PTX).kernel("nothing");
        nothing.launch(device.stream(), ONE.shared(227 << 10));
        says(
                "232449 dynamic",
                message(LaunchException.class, () -> nothing.launch(device.stream(), ONE.shared((227 << 10) + 1))));
        Kernel fixed = load(kernel("", ".shared .b8 s[48000];\nmov.u32 %r0, s;"));
        assertEquals(48_000, fixed.attributes().staticSharedBytes());
        says(
                "48000 static",
                message(LaunchException.class, () -> fixed.launch(device.stream(), ONE.shared(200_000), 0L)));
    }

    @Test
    void launch_otherShapeThanTheKernelDeclares_isRefused() {
        Kernel exact = load(kernel(".reqntid 64, 2, 1", ""));
        assertEquals(128, exact.attributes().maxThreadsPerBlock());
        Launch.Dim one = new Launch.Dim(1, 1, 1);
        exact.launch(device.stream(), Launch.of(one, new Launch.Dim(64, 2, 1)), 0L);
        says("expected exactly", message(LaunchException.class, () -> exact.launch(device.stream(), ONE, 0L)));
        says(
                "expected exactly",
                message(
                        LaunchException.class,
                        () -> exact.launch(device.stream(), Launch.of(one, new Launch.Dim(128, 1, 1)), 0L)));
        Kernel most = load(kernel(".maxntid 96", ""));
        most.launch(device.stream(), Launch.of(1, 96), 0L);
        most.launch(device.stream(), Launch.of(1, 1), 0L);
        says("at most 96", message(LaunchException.class, () -> most.launch(device.stream(), Launch.of(1, 97), 0L)));
        Kernel pair = load(kernel(".reqnctapercluster 2", "").replace("sm_80", "sm_90"));
        pair.launch(device.stream(), Launch.of(4, 32), 0L);
        says(
                "not a multiple of the cluster",
                message(LaunchException.class, () -> pair.launch(device.stream(), Launch.of(3, 32), 0L)));
        Kernel many = load(kernel(".reqnctapercluster 16", "").replace("sm_80", "sm_90"));
        says("at most 8", message(LaunchException.class, () -> many.launch(device.stream(), Launch.of(16, 32), 0L)));
        Kernel nothing = load(kernel("", ""));
        says(
                "resident at once",
                message(
                        LaunchException.class,
                        () -> nothing.launch(
                                device.stream(), Launch.of(100_000, 32).asCooperative(), 0L)));
        assertEquals(32, nothing.blocksPerMultiprocessor(32, 0));
        assertEquals(2, nothing.blocksPerMultiprocessor(1024, 0));
        assertEquals(1, nothing.blocksPerMultiprocessor(128, 200_000));
        assertEquals(0, nothing.blocksPerMultiprocessor(128, 300_000));
    }

    @Test
    void module_isLinkedOnceAndErrorsNameTheirLine() {
        PtxModule module = device.module("saxpy.ptx", PTX);
        assertSame(module, device.module("again.ptx", PTX));
        assertEquals(List.of("saxpy", "nothing"), module.kernels());
        says("saxpy, nothing", message(PtxException.class, () -> module.kernel("sax")));
        PtxModule partly = device.module("bad.ptx", PTX.replace("mov.u32 i", "mov.u33 i"));
        assertEquals(List.of("saxpy", "nothing"), partly.kernels());
        partly.kernel("nothing");
        PtxException bad = assertThrows(PtxException.class, () -> partly.kernel("saxpy"));
        assertEquals("bad.ptx", bad.file());
        assertEquals(Signatures.line(PTX, PTX.indexOf("mov.u32 i")), bad.line(), bad.getMessage());
        try (SimDevice ampere = SimDevice.open(SimOptions.defaults().withArchitecture(80))) {
            ampere.module("k.ptx", kernel("", ""));
            for (String target : new String[] {"sm_86", "sm_90", "sm_90a"}) {
                says(
                        "target " + target + " does not run on this device of sm_80",
                        message(
                                PtxException.class,
                                () -> ampere.module("k.ptx", kernel("", "").replace("sm_80", target))));
            }
        }
    }

    @Test
    void launch_endlessLoop_isStoppedWithItsLine() {
        try (SimDevice limited = SimDevice.open(SimOptions.defaults().withInstructionLimit(10_000))) {
            Kernel spins = limited.module("k.ptx", kernel("", "Spin: add.u64 %rd0, %rd0, 1;\nbra Spin;"))
                    .kernel("k");
            Fault fault = assertThrows(Fault.class, () -> spins.launch(limited.stream(), ONE, 0L));
            assertEquals(Fault.Kind.LIMIT, fault.kind());
            says("more than 10000 warp instructions", fault.getMessage());
            says("block (0, 0, 0) warp 0: lanes 0xffffffff at line", fault.getMessage());
            assertTrue(fault.line() == 13 || fault.line() == 14, fault.getMessage());
            limited.module("saxpy.ptx", PTX).kernel("nothing").launch(limited.stream(), ONE); // it goes on to work
        }
    }

    @Test
    void allocate_beyondTheLimit_isRefused() {
        OutOfBudgetException budget = assertThrows(OutOfBudgetException.class, () -> device.allocate((1 << 28) + 1));
        assertEquals(1 << 28, budget.limit());
        assertThrows(OutOfBudgetException.class, () -> device.allocate(Long.MAX_VALUE));
        assertThrows(IllegalArgumentException.class, () -> device.allocate(-1));
        try (SimDevice unlimited = SimDevice.open(SimOptions.defaults())) {
            assertThrows(OutOfBudgetException.class, () -> unlimited.allocate(1L << 31));
        }
        DeviceStorage first = device.allocate(1000);
        try (Memory.Meter meter = device.meter()) {
            device.allocate(24).close();
            assertEquals(1000, device.currentBytes());
            assertEquals(1024, device.peakBytes());
            assertEquals(1024, meter.peakBytes());
        }
        first.close();
        first.close();
        assertEquals(0, device.currentBytes());
        device.resetPeak();
        assertEquals(0, device.peakBytes());
    }

    @Test
    void close_storage_returnsItsBytes() {
        long heap = Runtime.getRuntime().maxMemory();
        long block = 1 << 27;
        for (long total = 0; total < heap + 2 * block; total += block) {
            device.allocate(block).close();
        }
        assertEquals(0, device.currentBytes());
    }

    @Test
    void allocate_freshMemory_isNaN() {
        try (DeviceStorage storage = device.allocate(4099)) {
            byte[] bytes = new byte[4099];
            Devices.download(storage).get(bytes);
            for (int i = 0; i < bytes.length; i++) {
                assertEquals(-1, bytes[i], "byte " + i);
            }
        }
        try (DeviceStorage storage = device.allocate(4)) {
            assertTrue(Float.isNaN(Devices.toFloats(storage)[0]));
        }
    }

    @Test
    void launch_afterAFault_works() {
        Kernel saxpy = saxpy();
        try (DeviceStorage x = Devices.floats(device, 1, 2);
                DeviceStorage y = Devices.floats(device, 1, 1)) {
            Fault fault = assertThrows(Fault.class, () -> saxpy.launch(device.stream(), ONE, y, x, 1f, 3));
            assertEquals(Fault.Kind.OUT_OF_BOUNDS, fault.kind());
            says("thread (2, 0, 0)", fault.getMessage());
            saxpy.launch(device.stream(), ONE, y, x, 1f, 2);
            assertArrayEquals(new float[] {2, 3}, Devices.toFloats(y));
        }
        assertEquals(0, device.currentBytes());
    }

    @Test
    void use_afterClose_isRefused() {
        SimDevice other = open();
        Kernel nothing = other.module("saxpy.ptx", PTX).kernel("nothing");
        DeviceStream stream = other.newStream();
        other.close();
        other.close();
        for (Runnable late : List.<Runnable>of(
                () -> other.allocate(4),
                () -> other.pinned(4),
                other::newStream,
                other::synchronize,
                () -> other.module("x", PTX),
                () -> nothing.launch(stream, ONE),
                () -> other.stream().record())) {
            says("after close", message(IllegalStateException.class, late));
        }
        assertThrows(IllegalStateException.class, other::counts);
        says("of another device", message(DeviceException.class, () -> {
            try (DeviceStorage mine = device.allocate(4)) {
                open().stream().fill(mine, (byte) 0);
            }
        }));
    }

    /** Every thread mixes its number for a while and sums up with its neighbours through shared memory. */
    private static final String MIX = kernel(".reqntid 128, 1, 1", """
            .shared .align 4 .b32 tile[128];
            mov.u32 %r0, %tid.x;
            mov.u32 %r1, %ctaid.x;
            mad.lo.u32 %r2, %r1, 128, %r0;
            mad.wide.u32 %rd0, %r2, 4, %rd0;
            mov.u32 %r3, tile;
            mad.lo.u32 %r3, %r0, 4, %r3;
            xor.b32 %r4, %r0, 1;
            sub.u32 %r4, %r4, %r0;
            mad.lo.u32 %r4, %r4, 4, %r3;
            cvt.rn.f32.u32 %f0, %r2;
            mov.u32 %r5, 0;
            Round:
            fma.rn.f32 %f0, %f0, 0f3F7D70A4, 0f3E99999A;
            st.shared.f32 [%r3], %f0;
            bar.sync 0;
            ld.shared.f32 %f1, [%r4];
            bar.sync 0;
            fma.rn.f32 %f0, %f1, 0f3DCCCCCD, %f0;
            add.u32 %r5, %r5, 1;
            setp.lt.u32 %p, %r5, 20;
            @%p bra Round;
            st.global.f32 [%rd0], %f0;
            """);

    private static int[] mixed(Schedule schedule, boolean checks) {
        SimOptions options = SimOptions.defaults().withSchedule(schedule);
        try (SimDevice device = SimDevice.open(checks ? options : options.withoutChecks());
                DeviceStorage out = device.allocate(4 * 37 * 128)) {
            device.module("mix.ptx", MIX).kernel("k").launch(device.stream(), Launch.of(37, 128), out);
            return Devices.toInts(out);
        }
    }

    @Test
    void launch_anyScheduleAndThreads_givesTheSameResult() throws InterruptedException, ExecutionException {
        int[] expected = mixed(Schedule.ofSeed(0), true);
        assertNotEquals(expected[0], expected[128]);
        for (Schedule.Order order : Schedule.Order.values()) {
            for (Schedule.Completion completion : Schedule.Completion.values()) {
                assertArrayEquals(expected, mixed(new Schedule(7, order, completion), true), order + " " + completion);
            }
        }
        for (int threads : new int[] {1, 2, 5}) { // parallel work of a pool's thread stays in that pool
            ForkJoinPool pool = new ForkJoinPool(threads);
            try {
                assertArrayEquals(
                        expected,
                        pool.submit(() -> mixed(Schedule.ofSeed(1), false)).get(),
                        threads + " threads");
            } finally {
                pool.shutdown();
            }
        }
    }

    @Test
    void launch_faultsInManyBlocks_reportsTheLowest() {
        Kernel wrong = load(kernel("", """
                mov.u32 %r0, %ctaid.x;
                setp.lt.u32 %p, %r0, 5;
                @%p ret;
                st.global.u32 [%rd0+4096], %r0;"""));
        try (DeviceStorage out = device.allocate(4)) {
            List<String> messages = new ArrayList<>();
            for (int again = 0; again < 20; again++) {
                messages.add(message(Fault.class, () -> wrong.launch(device.stream(), Launch.of(40, 32), out)));
            }
            messages.forEach(each -> says("block (5, 0, 0)", each));
        }
    }

    @Test
    void counts_withoutCounting_isRefused() {
        try (SimDevice counting = SimDevice.open(SimOptions.defaults().withCounts())) {
            counting.module("saxpy.ptx", PTX).kernel("nothing").launch(counting.stream(), Launch.of(3, 40));
            assertEquals(6, counting.counts().total().executions());
            assertEquals(120, counting.counts().total().lanes());
            counting.counts().reset();
            assertEquals(0, counting.counts().total().executions());
        }
        says("withCounts", message(IllegalStateException.class, device::counts));
    }
}
