// out[b] = sum of x[i] * y[j], j the mirror of i, over the tiles of 256 that block b takes with a grid stride: while
// one tile is used, the next is copied (cp.async); blocks of 64 threads; what is behind n is filled with zeros.
#include <cuda_pipeline.h>
#define TILE 256

static __device__ void copy(int* to, const int* from, int first, int n) {
    int left = n - first;
    size_t gap = left >= 4 ? 0 : left > 0 ? 16 - 4 * (size_t) left : 16;
    __pipeline_memcpy_async(to, gap == 16 ? from : from + first, 16, gap);
}

extern "C" __global__ void __launch_bounds__(64) pipeline(
        const int* __restrict__ x, const int* __restrict__ y, int n, int* out) {
    __shared__ __align__(16) int left[2][TILE];
    __shared__ __align__(16) int right[2][TILE];
    __shared__ int sum;
    int t = threadIdx.x;
    if (t == 0) {
        sum = 0;
    }
    int tiles = (n + TILE - 1) / TILE;
    int buffer = 0;
    int mine = 0;
    int tile = blockIdx.x;
    if (tile < tiles) {
        copy(&left[0][4 * t], x, tile * TILE + 4 * t, n);
        copy(&right[0][4 * t], y, tile * TILE + 4 * t, n);
    }
    __pipeline_commit();
    for (; tile < tiles; tile += gridDim.x) {
        int next = tile + gridDim.x;
        if (next < tiles) {
            copy(&left[buffer ^ 1][4 * t], x, next * TILE + 4 * t, n);
            copy(&right[buffer ^ 1][4 * t], y, next * TILE + 4 * t, n);
        }
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        for (int i = t; i < TILE; i += 64) {
            mine += left[buffer][i] * right[buffer][TILE - 1 - i];
        }
        __syncthreads();
        buffer ^= 1;
    }
    __syncthreads();
    atomicAdd(&sum, mine);
    __syncthreads();
    if (t == 0) {
        out[blockIdx.x] = sum;
    }
}
