package org.contrastive4j.internal.ptx;

import java.util.List;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;

/**
 * Collects the arguments of one launch, each under the name of its kernel parameter and in the order of the parameters.
 *
 * <p>A name is checked against the declaration in PTX, so that exchanged arguments fail at the first launch instead of
 * computing something else. Java spells {@code rowSums} what PTX declares as {@code ROW_SUMS} or {@code pRowSums}.
 */
final class KernelCall {
    private final Kernel kernel;
    private final List<String> parameters;
    private final Object[] arguments;
    private int count;

    private KernelCall(Kernel kernel) {
        this.kernel = kernel;
        parameters = kernel.parameters();
        arguments = new Object[parameters.size()];
    }

    static KernelCall of(Kernel kernel) {
        return new KernelCall(kernel);
    }

    /** Adds a device address; 0 where the kernel accepts that the buffer is absent. */
    KernelCall pointer(String parameter, long address) {
        return add(parameter, address);
    }

    /** Adds the address of a storage. */
    KernelCall pointer(String parameter, DeviceStorage storage) {
        return add(parameter, storage);
    }

    KernelCall int64(String parameter, long value) {
        return add(parameter, value);
    }

    KernelCall int32(String parameter, int value) {
        return add(parameter, value);
    }

    /** Adds a condition as the integer 1 or 0. */
    KernelCall flag(String parameter, boolean value) {
        return add(parameter, value ? 1 : 0);
    }

    KernelCall float32(String parameter, float value) {
        return add(parameter, value);
    }

    KernelCall float64(String parameter, double value) {
        return add(parameter, value);
    }

    private KernelCall add(String parameter, Object value) {
        String declared = count < arguments.length ? parameters.get(count) : "none";
        if (count >= arguments.length || !isSame(parameter, declared)) {
            throw new LaunchException("kernel " + kernel.name() + ", argument " + (count + 1) + ": expected parameter "
                    + declared + ", got " + parameter);
        }
        arguments[count++] = value;
        return this;
    }

    /**
     * Launches the kernel.
     *
     * @throws LaunchException if a parameter has no argument, or as {@link Kernel#launch} does
     */
    void launch(DeviceStream stream, Launch launch) {
        if (count < arguments.length) {
            throw new LaunchException(
                    "kernel " + kernel.name() + ": parameter " + parameters.get(count) + " has no argument");
        }
        kernel.launch(stream, launch, arguments);
    }

    /** Returns whether a camel-case name is a declared one without its prefix p, its underscores and its case. */
    static boolean isSame(String camelCase, String declared) {
        int at =
                declared.length() > 1 && declared.charAt(0) == 'p' && Character.isUpperCase(declared.charAt(1)) ? 1 : 0;
        int i = 0;
        for (; at < declared.length(); at++) {
            char c = declared.charAt(at);
            if (c == '_') {
                continue;
            }
            if (i == camelCase.length() || Character.toLowerCase(c) != Character.toLowerCase(camelCase.charAt(i++))) {
                return false;
            }
        }
        return i == camelCase.length();
    }
}
