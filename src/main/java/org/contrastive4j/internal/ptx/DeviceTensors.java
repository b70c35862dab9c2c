package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Returns the device addresses of tensors after checking them; a failure is a {@link LaunchException} before anything
 * is launched.
 */
final class DeviceTensors {
    private DeviceTensors() {}

    /** Returns the address of the first element of a tensor on this device. */
    static long address(String operation, String argument, PtxDevice device, Tensor tensor) {
        if (tensor.storage() instanceof DeviceStorage storage && storage.memory() == device) {
            return storage.address() + tensor.offset() * tensor.dtype().bytes();
        }
        throw new LaunchException(operation + ": " + argument + " is " + tensor
                + " in the memory of another device; allocate it with "
                + "the operations that use it");
    }

    /**
     * Returns the address of a tensor that is written while others are read, after checking that it overlaps none of
     * them. Null others are skipped.
     */
    static long written(
            String operation, String argument, PtxDevice device, Tensor tensor, @Nullable Tensor... others) {
        long address = address(operation, argument, device, tensor);
        for (Tensor other : others) {
            if (other != null && other.storage() == tensor.storage()) {
                long otherAddress = address(operation, argument, device, other);
                if (address < otherAddress + other.bytes() && otherAddress < address + tensor.bytes()) {
                    throw new LaunchException(operation + ": " + argument + " " + tensor + " shares memory with "
                            + other
                            + ", which is read; give each its own");
                }
            }
        }
        return address;
    }
}
