package org.contrastive4j.bench.device;

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
 * Throughput of the simulator: millions of arithmetic lane instructions per second, and the time of
 * one wgmma tile.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class SimulatorBenchmark {
    private static final int THREADS = 256;
    private static final int ROUNDS = 1000;
    private static final int ROUND = 16;
    private static final int AROUND = 13;
    private static final int LANE_INSTRUCTIONS = THREADS * (ROUNDS * ROUND + AROUND);
    private static final int BLOCKS = 16;

    /** Every lane executes {@value AROUND} instructions and {@value ROUNDS} rounds of {@value ROUND}. */
    private static final String ALU = """
            .version 8.0
            .target sm_80
            .address_size 64
            .visible .entry alu(.param .u64 p_out, .param .u32 p_rounds)
            {
                .reg .pred %p;
                .reg .b32 %n, %i, %t, %a, %b, %c;
                .reg .f32 %x, %y, %z;
                .reg .b64 %out;
                ld.param.u64 %out, [p_out];
                ld.param.u32 %n, [p_rounds];
                mov.u32 %t, %tid.x;
                mov.u32 %b, %ctaid.x;
                mad.lo.u32 %a, %b, 256, %t;
                mad.wide.u32 %out, %a, 4, %out;
                mov.u32 %b, 12345;
                cvt.rn.f32.u32 %x, %t;
                mov.f32 %y, 0f3F000000;
                mov.u32 %i, 0;
            Round:
                mad.lo.u32 %a, %a, 1664525, %b;
                xor.b32 %c, %a, %t;
                shr.u32 %b, %c, 3;
                add.u32 %a, %a, %b;
                fma.rn.f32 %x, %x, %y, 0f3F800000;
                mul.f32 %z, %x, 0f3F7FF000;
                sub.u32 %c, %c, %b;
                mad.lo.s32 %b, %c, %i, %a;
                and.b32 %b, %b, 0xFFFF;
                fma.rn.f32 %y, %z, 0f3E800000, 0f3E000000;
                add.f32 %x, %x, %y;
                shl.b32 %c, %b, 2;
                add.s32 %a, %a, %c;
                add.u32 %i, %i, 1;
                setp.lt.u32 %p, %i, %n;
                @%p bra Round;
                add.f32 %x, %x, %z;
                st.global.f32 [%out], %x;
                ret;
            }
            """;

    /** Whether the checkers of the simulator are on: none or all. */
    @Param({"false", "true"})
    boolean checks;

    private SimDevice device;
    private Kernel alu;
    private DeviceStorage out;
    private WarpgroupTile tile;

    @Setup
    public void setup() {
        SimOptions options = SimOptions.defaults();
        device = SimDevice.open(checks ? options : options.withoutChecks());
        alu = device.module("alu.ptx", ALU).kernel("alu");
        out = device.allocate(BLOCKS * THREADS * 4);
        tile = new WarpgroupTile(device);
    }

    @TearDown
    public void tearDown() {
        tile.close();
        out.close();
        device.close();
    }

    /** Millions of lane instructions per second of one block, which runs on one core. */
    @Benchmark
    @OperationsPerInvocation(LANE_INSTRUCTIONS)
    public void alu() {
        alu.launch(device.stream(), Launch.of(1, THREADS), out, ROUNDS);
    }

    /** Millions of lane instructions per second of {@value BLOCKS} blocks on all cores. */
    @Benchmark
    @OperationsPerInvocation(BLOCKS * LANE_INSTRUCTIONS)
    public void aluOnAllCores() {
        alu.launch(device.stream(), Launch.of(BLOCKS, THREADS), out, ROUNDS);
    }

    /** One product of 128 x 256 x 512 in bf16, in milliseconds. */
    @Benchmark
    @BenchmarkMode(Mode.AverageTime)
    @OutputTimeUnit(TimeUnit.MILLISECONDS)
    public void wgmmaTile() {
        tile.run();
    }
}
