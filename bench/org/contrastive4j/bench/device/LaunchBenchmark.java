package org.contrastive4j.bench.device;

import java.util.concurrent.TimeUnit;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
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

/** Host time of a launch of an empty kernel and of a stream-ordered allocation. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 2)
public class LaunchBenchmark {
    private static final int BATCH = 500;
    private static final Launch ONE_WARP = Launch.of(1, 32);
    private static final String PTX = """
            .version 8.0
            .target sm_80
            .address_size 64
            .visible .entry nothing(.param .u64 x, .param .u32 n)
            {
                ret;
            }
            """;

    @Param("cuda")
    String device;

    private PtxDevice opened;
    private DeviceStream stream;
    private DeviceStorage storage;
    private Kernel nothing;
    private DeviceStream.Graph graph;

    @Setup
    public void setup() {
        opened = Backend.device(device);
        stream = opened.stream();
        storage = opened.allocate(256);
        nothing = opened.module("nothing.ptx", PTX).kernel("nothing");
        graph = stream.capture(() -> {
            for (int i = 0; i < BATCH; i++) {
                nothing.launch(stream, ONE_WARP, storage, i);
            }
        });
    }

    @TearDown
    public void tearDown() {
        graph.close();
        storage.close();
        opened.close();
    }

    /** Time per launch of {@value BATCH} launches with one synchronisation at the end. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public void launch() {
        for (int i = 0; i < BATCH; i++) {
            nothing.launch(stream, ONE_WARP, storage, i);
        }
        stream.synchronize();
    }

    @Benchmark
    public void launchAndWait() {
        nothing.launch(stream, ONE_WARP, storage, 1);
        stream.synchronize();
    }

    /** Time per launch of {@value BATCH} launches in one graph. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public void graph() {
        graph.launch(stream);
        stream.synchronize();
    }

    /** Time of one stream-ordered allocation and its release. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public void allocate() {
        for (int i = 0; i < BATCH; i++) {
            opened.allocate(1 << 20, stream).close();
        }
        stream.synchronize();
    }
}
