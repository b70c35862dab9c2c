package org.contrastive4j.bench.device;

import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Millions of instructions of one family per second and lane, on one core: rounds of four of them in a loop of three
 * further instructions.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
public class SimulatorFamilies {
    private static final int THREADS = 256;
    private static final int ROUNDS = 500;
    private static final int FAMILY = 4;

    /** Off, or all of them. */
    @Param({"true", "false"})
    boolean checks;

    /** Instructions of a round. */
    @Param({
        "INTEGER",
        "FLOAT",
        "BRANCH",
        "SHUFFLE",
        "GLOBAL_LOAD",
        "SHARED_LOAD",
        "SHARED_STORE",
        "SHARED_ATOMIC",
        "SHARED_ATOMIC_SAME",
        "GLOBAL_ATOMIC"
    })
    Family family;

    /** One line of instructions; %a is the address of the thread in global memory, %s in shared memory. */
    public enum Family {
        INTEGER("mad.lo.u32 %x, %x, 1664525, %t;"),
        FLOAT("fma.rn.f32 %f, %f, 0f3F000000, 0f3F800000;"),
        BRANCH("and.b32 %y, %x, 1; setp.eq.u32 %q, %y, 0; @%q bra Skip#; add.u32 %x, %x, 3; Skip#: "),
        SHUFFLE("shfl.sync.bfly.b32 %x, %x, 1, 31, -1;"),
        GLOBAL_LOAD("ld.global.u32 %x, [%a+#];"),
        SHARED_LOAD("ld.shared.u32 %x, [%s+#];"),
        SHARED_STORE("st.shared.u32 [%s+#], %t;"),
        SHARED_ATOMIC("atom.shared.add.u32 %x, [%s+#], 1;"),
        SHARED_ATOMIC_SAME("atom.shared.add.u32 %x, [tile], 1;"),
        GLOBAL_ATOMIC("atom.global.add.u32 %x, [%a+#], 1;");

        private final String instruction;

        Family(String instruction) {
            this.instruction = instruction;
        }

        private String kernel() {
            StringBuilder lines = new StringBuilder();
            for (int k = 0; k < FAMILY; k++) {
                lines.append(instruction.replace("#", String.valueOf(k * 4 * THREADS)))
                        .append('\n');
            }
            return """
                    .version 8.0
                    .target sm_80
                    .address_size 64
                    .visible .entry family(.param .u64 p_data, .param .u32 p_rounds)
                    {
                        .shared .align 4 .b8 tile[%d];
                        .reg .pred %%p, %%q;
                        .reg .b32 %%n, %%i, %%t, %%x, %%y, %%s;
                        .reg .f32 %%f;
                        .reg .b64 %%a;
                        ld.param.u64 %%a, [p_data];
                        ld.param.u32 %%n, [p_rounds];
                        mov.u32 %%t, %%tid.x;
                        mad.wide.u32 %%a, %%t, 4, %%a;
                        mov.u32 %%s, tile;
                        mad.lo.u32 %%s, %%t, 4, %%s;
                        st.shared.u32 [%%s], 0;
                        st.shared.u32 [%%s+%d], 0;
                        st.shared.u32 [%%s+%d], 0;
                        st.shared.u32 [%%s+%d], 0;
                        mov.u32 %%x, %%t;
                        mov.f32 %%f, 0f3F800000;
                        mov.u32 %%i, 0;
                        bar.sync 0;
                    Round:
                    %s
                        add.u32 %%i, %%i, 1;
                        setp.lt.u32 %%p, %%i, %%n;
                        @%%p bra Round;
                        ret;
                    }
                    """.formatted(FAMILY * 4 * THREADS, 4 * THREADS, 8 * THREADS, 12 * THREADS, lines);
        }
    }

    private SimDevice device;
    private Kernel kernel;
    private DeviceStorage data;

    @Setup
    public void setup() {
        SimOptions options = SimOptions.defaults();
        device = SimDevice.open(checks ? options : options.withoutChecks());
        kernel = device.module("family.ptx", family.kernel()).kernel("family");
        data = device.allocate(FAMILY * 4 * THREADS);
        data.upload(0, ByteBuffer.allocateDirect(FAMILY * 4 * THREADS));
    }

    @TearDown
    public void tearDown() {
        data.close();
        device.close();
    }

    @Benchmark
    @OperationsPerInvocation(THREADS * ROUNDS * FAMILY)
    public void run() {
        kernel.launch(device.stream(), Launch.of(1, THREADS), data, ROUNDS);
    }
}
