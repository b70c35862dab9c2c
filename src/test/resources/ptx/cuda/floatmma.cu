// Products of fp8 and f64 matrices on tensor cores. Operands come as the registers of the lanes.
#define MMA_FP8(NAME, TYPES)                                                                                           \
    extern "C" __global__ void NAME(const unsigned* a, const unsigned* b, const float* c, float* d) {                  \
        int lane = threadIdx.x;                                                                                        \
        const unsigned* x = a + 4 * lane;                                                                              \
        const unsigned* y = b + 2 * lane;                                                                              \
        const float* z = c + 4 * lane;                                                                                 \
        float r[4];                                                                                                    \
        asm volatile("mma.sync.aligned.m16n8k32.row.col.f32." TYPES                                                     \
                     ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"                                   \
                     : "=f"(r[0]), "=f"(r[1]), "=f"(r[2]), "=f"(r[3])                                                  \
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]), "f"(z[0]), "f"(z[1]),          \
                       "f"(z[2]), "f"(z[3]));                                                                          \
        for (int k = 0; k < 4; k++) {                                                                                  \
            d[4 * lane + k] = r[k];                                                                                    \
        }                                                                                                              \
    }

MMA_FP8(mma_e4m3, "e4m3.e4m3")
MMA_FP8(mma_e5m2, "e5m2.e5m2")
MMA_FP8(mma_e4m3_e5m2, "e4m3.e5m2")

extern "C" __global__ void mma_f64(const double* a, const double* b, const double* c, double* d) {
    int lane = threadIdx.x;
    const double* x = a + 8 * lane;
    const double* y = b + 4 * lane;
    const double* z = c + 4 * lane;
    double r[4];
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7,%8,%9,%10,%11}, "
                 "{%12,%13,%14,%15}, {%16,%17,%18,%19};"
                 : "=d"(r[0]), "=d"(r[1]), "=d"(r[2]), "=d"(r[3])
                 : "d"(x[0]), "d"(x[1]), "d"(x[2]), "d"(x[3]), "d"(x[4]), "d"(x[5]), "d"(x[6]), "d"(x[7]), "d"(y[0]),
                   "d"(y[1]), "d"(y[2]), "d"(y[3]), "d"(z[0]), "d"(z[1]), "d"(z[2]), "d"(z[3]));
    for (int k = 0; k < 4; k++) {
        d[4 * lane + k] = r[k];
    }
}
