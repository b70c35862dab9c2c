// c[m, n] = alpha * a[m, k] * b[k, n] + beta * c, any sizes; blocks of (16, 16) threads, one per 16 x 16 tile of c.
#define TILE 16

extern "C" __global__ void matmul(
        const float* __restrict__ a, const float* __restrict__ b, float* c, int m, int n, int k, float alpha, float beta) {
    __shared__ float left[TILE][TILE];
    __shared__ float right[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y;
    int column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;
    for (int from = 0; from < k; from += TILE) {
        int across = from + threadIdx.x;
        int down = from + threadIdx.y;
        left[threadIdx.y][threadIdx.x] = row < m && across < k ? a[row * k + across] : 0;
        right[threadIdx.y][threadIdx.x] = down < k && column < n ? b[down * n + column] : 0;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            sum += left[threadIdx.y][i] * right[i][threadIdx.x];
        }
        __syncthreads();
    }
    if (row < m && column < n) {
        int at = row * n + column;
        c[at] = beta == 0 ? alpha * sum : alpha * sum + beta * c[at];
    }
}
