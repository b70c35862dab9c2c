package org.contrastive4j.internal.cuda;

import jcuda.driver.CUdeviceptr;

/** A device address as JCuda expects it; makes the numerical address accessible, which JCuda hides. */
final class DevicePointer extends CUdeviceptr {
    DevicePointer() {}

    DevicePointer(long address) {
        super(new CUdeviceptr(), address);
    }

    long address() {
        return getNativePointer() + getByteOffset();
    }
}
