// For each row of x[rows, cols], one warp: norms[r] = Euclidean norm, unit[r, :] = row / norm; roots = sqrt(|x|),
// rounded: x to long, nearest even.
extern "C" __global__ void doubles(
        const double* __restrict__ x, int rows, int cols, double* norms, double* unit, double* roots, long long* rounded) {
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    if (row >= rows) {
        return;
    }
    x += (size_t) row * cols;
    double sum = 0;
    for (int i = lane; i < cols; i += 32) {
        sum = fma(x[i], x[i], sum);
    }
    for (int j = 16; j > 0; j /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, j);
    }
    double norm = sqrt(sum);
    for (int i = lane; i < cols; i += 32) {
        size_t at = (size_t) row * cols + i;
        unit[at] = x[i] / norm;
        roots[at] = sqrt(fabs(x[i]));
        rounded[at] = __double2ll_rn(x[i]);
    }
    if (lane == 0) {
        norms[row] = norm;
    }
}
