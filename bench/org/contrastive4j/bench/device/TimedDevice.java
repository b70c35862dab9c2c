package org.contrastive4j.bench.device;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;

/**
 * Records an event before and after each launch of a kernel that was loaded through it and forwards everything else to
 * the wrapped device. Not thread-safe.
 *
 * <p>Work should be waiting in the stream when the launches are given, otherwise the host's time between event and
 * launch is part of the times.
 */
final class TimedDevice implements PtxDevice {
    private record Span(String kernel, DeviceStream.Event begin, DeviceStream.Event end) {}

    private final PtxDevice device;
    private final List<Span> spans = new ArrayList<>();

    TimedDevice(PtxDevice device) {
        this.device = device;
    }

    /**
     * Synchronises and returns the milliseconds of each kernel since the last call, summed over its launches, in the
     * order of first launch.
     */
    Map<String, Double> take() {
        Map<String, Double> times = new LinkedHashMap<>();
        for (Span span : spans) {
            times.merge(span.kernel, span.end.millisecondsSince(span.begin), Double::sum);
            span.begin.close();
            span.end.close();
        }
        spans.clear();
        return times;
    }

    private final class TimedKernel implements Kernel {
        private final Kernel kernel;

        TimedKernel(Kernel kernel) {
            this.kernel = kernel;
        }

        @Override
        public String name() {
            return kernel.name();
        }

        @Override
        public List<String> parameters() {
            return kernel.parameters();
        }

        @Override
        public Attributes attributes() {
            return kernel.attributes();
        }

        @Override
        public void launch(DeviceStream stream, Launch launch, Object... arguments) {
            DeviceStream.Event begin = stream.record();
            kernel.launch(stream, launch, arguments);
            spans.add(new Span(kernel.name(), begin, stream.record()));
        }

        @Override
        public int blocksPerMultiprocessor(int threads, int sharedBytes) {
            return kernel.blocksPerMultiprocessor(threads, sharedBytes);
        }
    }

    private final class TimedModule implements PtxModule {
        private final PtxModule module;

        TimedModule(PtxModule module) {
            this.module = module;
        }

        @Override
        public String name() {
            return module.name();
        }

        @Override
        public List<String> kernels() {
            return module.kernels();
        }

        @Override
        public DeviceStorage variable(String name) {
            return module.variable(name);
        }

        @Override
        public Kernel kernel(String name) {
            return new TimedKernel(module.kernel(name));
        }
    }

    @Override
    public PtxModule module(String name, String ptx) {
        return new TimedModule(device.module(name, ptx));
    }

    @Override
    public PtxDevice.Facts facts() {
        return device.facts();
    }

    @Override
    public DeviceStorage allocate(long bytes) {
        return device.allocate(bytes);
    }

    @Override
    public DeviceStorage allocate(long bytes, DeviceStream stream) {
        return device.allocate(bytes, stream);
    }

    @Override
    public PinnedBuffer pinned(long bytes) {
        return device.pinned(bytes);
    }

    @Override
    public DeviceStream stream() {
        return device.stream();
    }

    @Override
    public DeviceStream newStream() {
        return device.newStream();
    }

    @Override
    public void synchronize() {
        device.synchronize();
    }

    @Override
    public long currentBytes() {
        return device.currentBytes();
    }

    @Override
    public long peakBytes() {
        return device.peakBytes();
    }

    @Override
    public void resetPeak() {
        device.resetPeak();
    }

    @Override
    public Meter meter() {
        return device.meter();
    }

    @Override
    public long limitBytes() {
        return device.limitBytes();
    }

    /** Destroys the events; the wrapped device stays open. */
    @Override
    public void close() {
        take();
    }
}
