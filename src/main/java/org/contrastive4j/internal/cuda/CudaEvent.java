package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventQuery;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;

import jcuda.driver.CUevent;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceStream;

/** An event with timing enabled. */
final class CudaEvent extends CudaHandle implements DeviceStream.Event {
    private final CUevent event;

    private CudaEvent(CudaDevice device, CUevent event) {
        super(device, "event");
        this.event = event;
    }

    /** Records an event in a stream. Requires that this thread has entered the device. */
    static CudaEvent record(CudaDevice device, CUstream stream) {
        CUevent event = new CUevent();
        device.errors().check(cuEventCreate(event, 0), "cuEventCreate");
        CudaEvent made = new CudaEvent(device, event);
        try {
            device.errors().check(cuEventRecord(event, stream), "cuEventRecord");
        } catch (DeviceException e) {
            made.close();
            throw e;
        }
        return made;
    }

    static CudaEvent of(DeviceStream.Event event) {
        if (event instanceof CudaEvent own) {
            return own;
        }
        throw new DeviceException("an event of another kind of device was given: " + event);
    }

    CUevent handle() {
        enter();
        return event;
    }

    @Override
    public boolean isDone() {
        enter();
        int result = cuEventQuery(event);
        if (result == CUresult.CUDA_ERROR_NOT_READY) {
            return false;
        }
        check(result, "cuEventQuery");
        return true;
    }

    @Override
    public void synchronize() {
        enter();
        check(cuEventSynchronize(event), "cuEventSynchronize");
    }

    @Override
    public double millisecondsSince(DeviceStream.Event earlier) {
        CudaEvent start = of(earlier);
        start.synchronize();
        synchronize();
        float[] milliseconds = new float[1];
        check(cuEventElapsedTime(milliseconds, start.event, event), "cuEventElapsedTime");
        return milliseconds[0];
    }

    @Override
    void destroy() {
        check(cuEventDestroy(event), "cuEventDestroy");
    }
}
