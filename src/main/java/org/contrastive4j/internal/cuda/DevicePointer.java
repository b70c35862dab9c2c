package org.contrastive4j.internal.cuda;

import jcuda.driver.CUdeviceptr;

/** An address of the device as JCuda takes it, with the number inside, which JCuda hides. */
final class DevicePointer extends CUdeviceptr {
    DevicePointer() {}

    DevicePointer(long address) {
        super(new CUdeviceptr(), address);
    }

    long address() {
        return getNativePointer() + getByteOffset();
    }
}
