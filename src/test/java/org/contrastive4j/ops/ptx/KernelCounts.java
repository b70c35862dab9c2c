package org.contrastive4j.ops.ptx;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.Map;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.contrastive4j.device.sim.check.Counts;
import org.contrastive4j.support.Devices;

/**
 * What each kernel of one value and gradient does, counted by the simulator; prints the table of {@code kernels/README.md}:
 * {@code mvn -q test-compile exec:java -Dexec.classpathScope=test -Dexec.mainClass=org.contrastive4j.ops.ptx.KernelCounts}.
 */
public final class KernelCounts {
    private KernelCounts() {}

    public static void main(String[] arguments) {
        System.out.println("| kernel | warp instructions | bytes of global memory | sectors used | shared passes | bank conflicts |");
        System.out.println("|---|---|---|---|---|---|");
        Map<String, Counts.Line> counts = of(256, 256, 128);
        counts.putAll(ofBf16(256, 256, 128));
        counts.forEach((name, line) -> System.out.printf("| `%s` | %,d | %,d | %.0f%% | %,d | %,d |%n", name, line.executions(),
                line.globalBytes(), line.sectors() == 0 ? 100 : 100.0 * line.globalBytes() / (32 * line.sectors()), line.passes(),
                line.extraPasses()));
    }

    /** Totals of the launch of each kernel, by name; where a kernel is launched several times, of the last one. */
    static Map<String, Counts.Line> of(int n, int m, int d) {
        Map<String, Counts.Line> totals = new LinkedHashMap<>();
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            PtxDevice counting = counting(device, totals);
            PairwiseCase c = new PairwiseCase(n, m, d, true, 1);
            PtxNormalize normalize = new PtxNormalize(counting);
            try (DeviceStorage x = Devices.floats(device, c.x); DeviceStorage y = device.allocate(x.bytes());
                    DeviceStorage r = device.allocate(4L * n)) {
                normalize.forward(device.stream(), n, d, x.address(), y.address(), r.address());
                normalize.backward(device.stream(), n, d, y.address(), r.address(), x.address(), x.address(), 0);
            }
            c.ask(device, new PtxPairwise(counting));
        }
        return totals;
    }

    /** The same in bf16. */
    static Map<String, Counts.Line> ofBf16(int n, int m, int d) {
        Map<String, Counts.Line> totals = new LinkedHashMap<>();
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            PtxDevice counting = counting(device, totals);
            new PairwiseCase(n, m, d, true, 1).checkValue(device, new PtxPairwise(counting, Precision.BF16, 1 << 28),
                    new PtxNormalize(counting), Precision.BF16);
        }
        totals.keySet().removeIf(name -> name.endsWith("_f32"));
        return totals;
    }

    /** The device, but each launch counts on its own. */
    private static PtxDevice counting(SimDevice device, Map<String, Counts.Line> totals) {
        return proxy(PtxDevice.class, device, (module, name) -> proxy(PtxModule.class, module, (kernel, unused) ->
                proxy(Kernel.class, kernel, (nothing, launched) -> {
                    totals.put(((Kernel) kernel).name(), device.counts().total());
                    device.counts().reset();
                    return nothing;
                })));
    }

    private interface After {
        Object apply(Object result, String method);
    }

    /** Passes all calls on; what module, kernel and launch answer goes through {@code after}. */
    private static <T> T proxy(Class<T> type, Object target, After after) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (self, method, arguments) -> {
            try {
                Object result = method.invoke(target, arguments);
                boolean wrapped = method.getName().equals("module") || method.getName().equals("kernel") || method.getName().equals("launch");
                return wrapped ? after.apply(result, method.getName()) : result;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }));
    }
}
