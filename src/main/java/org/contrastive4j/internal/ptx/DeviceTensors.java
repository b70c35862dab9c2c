package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.tensor.Tensor;

/** Where tensors are on a device; each refusal is a {@link LaunchException} before anything is launched. */
final class DeviceTensors {
    private DeviceTensors() {}

    /** The address of the first element of a tensor that is on this device. */
    static long address(String operation, String argument, PtxDevice device, Tensor tensor) {
        if (tensor.storage() instanceof DeviceStorage storage && storage.memory() == device) {
            return storage.address() + tensor.offset() * tensor.dtype().bytes();
        }
        throw new LaunchException(operation + ": " + argument + " is " + tensor
                + " in memory other than that of the device; allocate it with "
                + "the operations that use it");
    }

    /**
     * The same of a tensor that is written while these others are read: they must not share bytes. Null others are
     * left out.
     */
    static long written(String operation, String argument, PtxDevice device, Tensor tensor, Tensor... others) {
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
