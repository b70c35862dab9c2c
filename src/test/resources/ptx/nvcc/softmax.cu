// y[r, :] = exp(x[r, :] - max) / sum of those, one block of 64 threads per row.
extern "C" __global__ void __launch_bounds__(64) softmax(const float* __restrict__ x, float* __restrict__ y, int cols) {
    __shared__ float part[2];
    const float* row = x + (size_t) blockIdx.x * cols;
    int t = threadIdx.x;
    float most = -__int_as_float(0x7f800000);
    for (int i = t; i < cols; i += 64) {
        most = fmaxf(most, row[i]);
    }
    for (int lane = 16; lane > 0; lane /= 2) {
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, lane));
    }
    if ((t & 31) == 0) {
        part[t >> 5] = most;
    }
    __syncthreads();
    most = fmaxf(part[0], part[1]);
    __syncthreads();
    float sum = 0;
    for (int i = t; i < cols; i += 64) {
        sum += expf(row[i] - most);
    }
    for (int lane = 16; lane > 0; lane /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, lane);
    }
    if ((t & 31) == 0) {
        part[t >> 5] = sum;
    }
    __syncthreads();
    sum = part[0] + part[1];
    for (int i = t; i < cols; i += 64) {
        y[(size_t) blockIdx.x * cols + i] = expf(row[i] - most) / sum;
    }
}
