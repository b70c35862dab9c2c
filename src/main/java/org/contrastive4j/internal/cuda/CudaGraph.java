package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphGetNodes;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.memory.Memory.OutOfBudgetException;

/** Work captured from a stream; the storages it uses must stay open as long as it is launched. */
final class CudaGraph extends CudaHandle implements DeviceStream.Graph {
    private final CUgraphExec graph;
    private final int nodes;

    private CudaGraph(CudaDevice device, CUgraphExec graph, int nodes) {
        super(device, "graph");
        this.graph = graph;
        this.nodes = nodes;
    }

    /** Captures work as a graph. Requires that this thread has entered the device. */
    static CudaGraph capture(CudaDevice device, CUstream stream, Runnable work) {
        CUgraph template = new CUgraph();
        device.captures().begin();
        try {
            device.errors()
                    .check(
                            cuStreamBeginCapture(stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                            "cuStreamBeginCapture");
            try {
                work.run();
            } catch (RuntimeException | Error e) { // the partial graph is of no use
                device.enter();
                if (cuStreamEndCapture(stream, template) == CUresult.CUDA_SUCCESS) {
                    cuGraphDestroy(template);
                }
                throw e;
            }
            device.enter();
            device.errors().check(cuStreamEndCapture(stream, template), "cuStreamEndCapture");
        } finally {
            device.captures().end();
        }
        try {
            return instantiate(device, template);
        } finally {
            cuGraphDestroy(template);
        }
    }

    private static CudaGraph instantiate(CudaDevice device, CUgraph template) {
        long[] nodes = new long[1];
        device.errors().check(cuGraphGetNodes(template, null, nodes), "cuGraphGetNodes");
        CUgraphExec graph = new CUgraphExec();
        int result = cuGraphInstantiate(graph, template, 0);
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            throw new OutOfBudgetException(
                    -1,
                    device.currentBytes(),
                    device.limitBytes(),
                    device.facts().name() + " has no memory for a graph of " + nodes[0] + " operations");
        }
        device.errors().check(result, "cuGraphInstantiate");
        return new CudaGraph(device, graph, Math.toIntExact(nodes[0]));
    }

    @Override
    public void launch(DeviceStream stream) {
        enter();
        check(cuGraphLaunch(graph, device().own(stream).handle()), "cuGraphLaunch");
    }

    @Override
    public int nodes() {
        return nodes;
    }

    @Override
    void destroy() {
        check(cuGraphExecDestroy(graph), "cuGraphExecDestroy");
    }
}
