// sums[b], peaks[b] = sum and maximum of the elements that block b takes with a grid stride; blocks of a power of
// two >= 64 threads.
extern "C" __global__ void reduction(const float* __restrict__ x, int n, float* sums, int* peaks, const int* __restrict__ y) {
    extern __shared__ float tree[];
    __shared__ int peak[32];
    int t = threadIdx.x;
    float sum = 0;
    int most = -2147483647 - 1;
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) {
        sum += x[i];
        most = max(most, y[i]);
    }
    tree[t] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half >= 32; half /= 2) {
        if (t < half) {
            tree[t] += tree[t + half];
        }
        __syncthreads();
    }
    for (int lane = 16; lane > 0; lane /= 2) {
        most = max(most, __shfl_down_sync(0xffffffffu, most, lane));
    }
    if (t % 32 == 0) {
        peak[t / 32] = most;
    }
    __syncthreads();
    if (t < 32) {
        float rest = tree[t];
        for (int lane = 16; lane > 0; lane /= 2) {
            rest += __shfl_xor_sync(0xffffffffu, rest, lane);
        }
        if (t == 0) {
            for (int warp = 1; warp < blockDim.x / 32; warp++) {
                most = max(most, peak[warp]);
            }
            sums[blockIdx.x] = rest;
            peaks[blockIdx.x] = most;
        }
    }
}
