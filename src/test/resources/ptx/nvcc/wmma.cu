// c[m, n] = a[m, k] * b[k, n], f16 times f16 into f32 on tensor cores, any sizes; one warp per 16 x 16 tile of c.
#include <cuda_fp16.h>
#include <mma.h>

extern "C" __global__ void wmma(const __half* __restrict__ a, const __half* __restrict__ b, float* c, int m, int n, int k) {
    using namespace nvcuda::wmma;
    __shared__ __align__(32) __half left[16 * 16];
    __shared__ __align__(32) __half right[16 * 16];
    __shared__ __align__(32) float out[16 * 16];
    int top = blockIdx.y * 16;
    int side = blockIdx.x * 16;
    fragment<matrix_a, 16, 16, 16, __half, row_major> x;
    fragment<matrix_b, 16, 16, 16, __half, row_major> y;
    fragment<accumulator, 16, 16, 16, float> z;
    fill_fragment(z, 0.0f);
    for (int from = 0; from < k; from += 16) {
        for (int i = threadIdx.x; i < 256; i += 32) {
            int row = i / 16;
            int column = i % 16;
            left[i] = top + row < m && from + column < k ? a[(top + row) * k + from + column] : __half(0.0f);
            right[i] = from + row < k && side + column < n ? b[(from + row) * n + side + column] : __half(0.0f);
        }
        __syncwarp();
        load_matrix_sync(x, left, 16);
        load_matrix_sync(y, right, 16);
        mma_sync(z, x, y, z);
        __syncwarp();
    }
    store_matrix_sync(out, z, 16, mem_row_major);
    __syncwarp();
    for (int i = threadIdx.x; i < 256; i += 32) {
        if (top + i / 16 < m && side + i % 16 < n) {
            c[(top + i / 16) * n + side + i % 16] = out[i];
        }
    }
}
