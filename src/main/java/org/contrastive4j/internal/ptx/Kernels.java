package org.contrastive4j.internal.ptx;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.UnaryOperator;
import org.contrastive4j.device.DeviceException.UnsupportedDeviceException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.PtxException;

/** The kernels of this library on one device, by the names of their entries; {@code kernels/README.md} lists them. */
public final class Kernels {
    private final PtxDevice device;
    private final UnaryOperator<String> texts;
    private final Map<String, Kernel> kernels = new ConcurrentHashMap<>();

    /** @throws UnsupportedDeviceException for a device below compute capability 8.0; nothing was loaded */
    public Kernels(PtxDevice device) {
        this(device, Kernels::text);
    }

    /** Uses texts from another source, by name; tests inject faults with it. */
    Kernels(PtxDevice device, UnaryOperator<String> texts) {
        UnsupportedDeviceException.refuse(device.facts());
        this.device = device;
        this.texts = texts;
    }

    /** Returns the kernel, which is loaded at its first use. */
    public Kernel get(String name) {
        return kernels.computeIfAbsent(
                name, key -> device.module(key + ".ptx", texts.apply(key)).kernel(key));
    }

    /**
     * Returns the PTX of a kernel with included files and macros expanded.
     *
     * @param name of the entry
     * @return the text that assemblers accept
     * @throws PtxException if there is no such kernel
     */
    public static String text(String name) {
        return KernelFiles.expanded(
                name, KernelFiles.whole(KernelFiles.find(name).path()));
    }
}
