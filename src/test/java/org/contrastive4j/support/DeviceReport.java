package org.contrastive4j.support;

import java.util.Locale;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.PtxDevice;

/**
 * {@code DeviceReport cuda|sim}: prints the properties of the device; without one, prints the reason and exits with 3.
 */
public final class DeviceReport {
    private DeviceReport() {}

    public static void main(String[] args) {
        try (PtxDevice device = Backend.device(args[0])) {
            PtxDevice.Facts facts = device.facts();
            line("name", facts.name());
            line("architecture", "sm_" + facts.architecture());
            line("multiprocessors", facts.multiprocessors());
            line("memory", String.format(Locale.ROOT, "%.1f GiB", facts.memoryBytes() / (double) (1L << 30)));
            line("l2", String.format(Locale.ROOT, "%.1f MiB", facts.l2Bytes() / (double) (1 << 20)));
            line("shared per block", facts.sharedBytesPerBlock() + " bytes");
            line("shared per multiprocessor", facts.sharedBytesPerMultiprocessor() + " bytes");
            line("registers per multiprocessor", facts.registersPerMultiprocessor());
            line("threads per multiprocessor", facts.threadsPerMultiprocessor());
            line("driver", facts.driver());
            line("java", System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version"));
        } catch (NoDeviceException e) {
            line("none", e.getMessage());
            System.exit(3);
        }
    }

    private static void line(String name, Object value) {
        System.out.println(name + ": " + value);
    }
}
