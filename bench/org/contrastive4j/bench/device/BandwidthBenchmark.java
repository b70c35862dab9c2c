package org.contrastive4j.bench.device;

import java.util.concurrent.TimeUnit;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Bytes per second: {@code bytes} are moved per call (read once and written once by {@link #copy} and {@link #kernel}),
 * so divide by the time.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 2)
public class BandwidthBenchmark {
    private static final int THREADS = 256;
    private static final String PTX = """
            .version 8.0
            .target sm_80
            .address_size 64
            // y[i] = -x[i], four floats per thread; n threads
            .visible .entry negate(.param .u64 y, .param .u64 x, .param .u32 n)
            {
                .reg .pred %out;
                .reg .b32 %i, %n, %block, %threads;
                .reg .b64 %y, %x, %at;
                .reg .f32 %a, %b, %c, %d;
                ld.param.u64 %y, [y];
                ld.param.u64 %x, [x];
                ld.param.u32 %n, [n];
                mov.u32 %block, %ctaid.x;
                mov.u32 %threads, %ntid.x;
                mov.u32 %i, %tid.x;
                mad.lo.u32 %i, %block, %threads, %i;
                setp.ge.u32 %out, %i, %n;
                @%out bra DONE;
                mul.wide.u32 %at, %i, 16;
                add.u64 %x, %x, %at;
                add.u64 %y, %y, %at;
                ld.global.v4.f32 {%a, %b, %c, %d}, [%x];
                neg.f32 %a, %a;
                neg.f32 %b, %b;
                neg.f32 %c, %c;
                neg.f32 %d, %d;
                st.global.v4.f32 [%y], {%a, %b, %c, %d};
            DONE:
                ret;
            }
            """;

    @Param("cuda")
    String device;

    /** Several times any L2. */
    @Param("536870912")
    int bytes;

    private PtxDevice opened;
    private DeviceStream stream;
    private DeviceStorage x;
    private DeviceStorage y;
    private PinnedBuffer pinned;
    private Kernel negate;

    @Setup
    public void setup() {
        opened = Backend.device(device);
        stream = opened.stream();
        x = opened.allocate(bytes);
        y = opened.allocate(bytes);
        pinned = opened.pinned(bytes);
        negate = opened.module("negate.ptx", PTX).kernel("negate");
        for (int i = 0; i < bytes / 4; i++) {
            pinned.bytes().putFloat(4 * i, i * 0.37f % 1); // zeros can be faster than data
        }
        stream.upload(pinned, 0, x, 0, bytes);
        stream.synchronize();
    }

    @TearDown
    public void tearDown() {
        pinned.close();
        x.close();
        y.close();
        opened.close();
    }

    @Benchmark
    public void upload() {
        stream.upload(pinned, 0, x, 0, bytes);
        stream.synchronize();
    }

    @Benchmark
    public void download() {
        stream.download(x, 0, pinned, 0, bytes);
        stream.synchronize();
    }

    @Benchmark
    public void copy() {
        stream.copy(x, 0, y, 0, bytes);
        stream.synchronize();
    }

    @Benchmark
    public void kernel() {
        int threads = bytes / 16;
        negate.launch(stream, Launch.of((threads + THREADS - 1) / THREADS, THREADS), y, x, threads);
        stream.synchronize();
    }
}
