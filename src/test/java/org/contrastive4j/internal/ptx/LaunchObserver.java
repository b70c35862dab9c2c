package org.contrastive4j.internal.ptx;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.function.BiConsumer;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;

/** Wraps a device and reports each launch when it is complete. */
final class LaunchObserver {
    private LaunchObserver() {}

    static PtxDevice of(PtxDevice device, BiConsumer<Kernel, Launch> launched) {
        return proxy(
                PtxDevice.class,
                device,
                (module, loading) -> proxy(
                        PtxModule.class,
                        module,
                        (kernel, finding) -> proxy(Kernel.class, kernel, (nothing, arguments) -> {
                            launched.accept((Kernel) kernel, (Launch) arguments[1]);
                            return nothing;
                        })));
    }

    private interface After {
        Object apply(Object result, Object[] arguments);
    }

    /** Passes all calls on; results of module, kernel and launch go through {@code after}. */
    private static <T> T proxy(Class<T> type, Object target, After after) {
        Class<?>[] types = {type};
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), types, (self, method, arguments) -> {
            try {
                Object result = method.invoke(target, arguments);
                String name = method.getName();
                boolean wrapped = name.equals("module") || name.equals("kernel") || name.equals("launch");
                return wrapped ? after.apply(result, arguments) : result;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }));
    }
}
