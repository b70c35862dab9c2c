// y[cols, rows] = transpose of x[rows, cols] through a shared tile of 33 words a row; blocks of (32, 8) threads, one
// per 32 x 32 tile.
extern "C" __global__ void transpose(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    __shared__ float tile[32][33];
    int column = blockIdx.x * 32 + threadIdx.x;
#pragma unroll
    for (int j = 0; j < 32; j += 8) {
        int row = blockIdx.y * 32 + threadIdx.y + j;
        if (row < rows && column < cols) {
            tile[threadIdx.y + j][threadIdx.x] = x[(size_t) row * cols + column];
        }
    }
    __syncthreads();
    int to = blockIdx.y * 32 + threadIdx.x;
#pragma unroll
    for (int j = 0; j < 32; j += 8) {
        int row = blockIdx.x * 32 + threadIdx.y + j;
        if (row < cols && to < rows) {
            y[(size_t) row * rows + to] = tile[threadIdx.x][threadIdx.y + j];
        }
    }
}
