// Products of 8, 4 and 1-bit whole numbers on tensor cores. Operands come as the registers of the lanes.
#include <mma.h>

#define MMA_16(NAME, INSTRUCTION)                                                                                      \
    extern "C" __global__ void NAME(const unsigned* a, const unsigned* b, const int* c, int* d) {                      \
        int lane = threadIdx.x;                                                                                        \
        const unsigned* x = a + 4 * lane;                                                                              \
        const unsigned* y = b + 2 * lane;                                                                              \
        const int* z = c + 4 * lane;                                                                                   \
        int r[4];                                                                                                      \
        asm volatile(INSTRUCTION " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"                           \
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                                                  \
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]), "r"(z[0]), "r"(z[1]),          \
                       "r"(z[2]), "r"(z[3]));                                                                          \
        for (int k = 0; k < 4; k++) {                                                                                  \
            d[4 * lane + k] = r[k];                                                                                    \
        }                                                                                                              \
    }

#define MMA_8(NAME, INSTRUCTION)                                                                                       \
    extern "C" __global__ void NAME(const unsigned* a, const unsigned* b, const int* c, int* d) {                      \
        int lane = threadIdx.x;                                                                                        \
        int r[2];                                                                                                      \
        asm volatile(INSTRUCTION " {%0,%1}, {%2}, {%3}, {%4,%5};"                                                       \
                     : "=r"(r[0]), "=r"(r[1])                                                                          \
                     : "r"(a[lane]), "r"(b[lane]), "r"(c[2 * lane]), "r"(c[2 * lane + 1]));                             \
        d[2 * lane] = r[0];                                                                                            \
        d[2 * lane + 1] = r[1];                                                                                        \
    }

MMA_16(mma_s8, "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32")
MMA_16(mma_u8_s8, "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32")
MMA_16(mma_s8_clamped, "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32")
MMA_16(mma_s4, "mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32")
MMA_16(mma_u4, "mma.sync.aligned.m16n8k64.row.col.s32.u4.u4.s32")
MMA_16(mma_b1_xor, "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.xor.popc")
MMA_16(mma_b1_and, "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc")
MMA_8(mma_m8_u8, "mma.sync.aligned.m8n8k16.row.col.s32.u8.u8.s32")
MMA_8(mma_m8_s4, "mma.sync.aligned.m8n8k32.row.col.s32.s4.s4.s32")
MMA_8(mma_m8_b1, "mma.sync.aligned.m8n8k128.row.col.s32.b1.b1.s32.xor.popc")

using namespace nvcuda;

extern "C" __global__ void wmma_s8(const signed char* a, const signed char* b, int* d) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, signed char, wmma::row_major> x;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, signed char, wmma::col_major> y;
    wmma::fragment<wmma::accumulator, 16, 16, 16, int> z;
    wmma::fill_fragment(z, 7);
    wmma::load_matrix_sync(x, a, 16);
    wmma::load_matrix_sync(y, b, 16);
    wmma::mma_sync(z, x, y, z);
    wmma::store_matrix_sync(d, z, 16, wmma::mem_row_major);
}

extern "C" __global__ void wmma_u4(const unsigned* a, const unsigned* b, int* d) {
    wmma::fragment<wmma::matrix_a, 8, 8, 32, wmma::experimental::precision::u4, wmma::row_major> x;
    wmma::fragment<wmma::matrix_b, 8, 8, 32, wmma::experimental::precision::u4, wmma::col_major> y;
    wmma::fragment<wmma::accumulator, 8, 8, 32, int> z;
    wmma::fill_fragment(z, 0);
    wmma::load_matrix_sync(x, a, 32);
    wmma::load_matrix_sync(y, b, 32);
    wmma::mma_sync(z, x, y, z);
    wmma::store_matrix_sync(d, z, 8, wmma::mem_row_major);
}

extern "C" __global__ void wmma_b1(const unsigned* a, const unsigned* b, int* d) {
    wmma::fragment<wmma::matrix_a, 8, 8, 128, wmma::experimental::precision::b1, wmma::row_major> x;
    wmma::fragment<wmma::matrix_b, 8, 8, 128, wmma::experimental::precision::b1, wmma::col_major> y;
    wmma::fragment<wmma::accumulator, 8, 8, 128, int> z;
    wmma::fill_fragment(z, 0);
    wmma::load_matrix_sync(x, a, 128);
    wmma::load_matrix_sync(y, b, 128);
    wmma::bmma_sync(z, x, y, z, wmma::experimental::bmmaBitOpXOR);
    wmma::store_matrix_sync(d, z, 8, wmma::mem_row_major);
}
