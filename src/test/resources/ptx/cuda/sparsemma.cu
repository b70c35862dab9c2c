// Products of a matrix of which half of the elements are stored. Operands come as the registers of the lanes.
#define SPARSE(NAME, SHAPE, SELECTOR, CONSTRAINT, NUMBER)                                                              \
    extern "C" __global__ void NAME(                                                                                   \
            const unsigned* a, const unsigned* b, const NUMBER* c, const unsigned* metadata, NUMBER* d) {              \
        int lane = threadIdx.x;                                                                                        \
        const unsigned* x = a + 4 * lane;                                                                              \
        const unsigned* y = b + 4 * lane;                                                                              \
        const NUMBER* z = c + 4 * lane;                                                                                \
        NUMBER r[4];                                                                                                   \
        asm volatile("mma.sp::ordered_metadata.sync.aligned." SHAPE                                                     \
                     " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%12,%13,%14,%15}, %16, " SELECTOR ";"            \
                     : "=" CONSTRAINT(r[0]), "=" CONSTRAINT(r[1]), "=" CONSTRAINT(r[2]), "=" CONSTRAINT(r[3])           \
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]), "r"(y[2]), "r"(y[3]),          \
                       CONSTRAINT(z[0]), CONSTRAINT(z[1]), CONSTRAINT(z[2]), CONSTRAINT(z[3]), "r"(metadata[lane]));    \
        for (int k = 0; k < 4; k++) {                                                                                  \
            d[4 * lane + k] = r[k];                                                                                    \
        }                                                                                                              \
    }

SPARSE(sparse_f16, "m16n8k32.row.col.f32.f16.f16.f32", "0x0", "f", float)
SPARSE(sparse_f16_upper, "m16n8k32.row.col.f32.f16.f16.f32", "0x1", "f", float)
SPARSE(sparse_tf32, "m16n8k16.row.col.f32.tf32.tf32.f32", "0x0", "f", float)
SPARSE(sparse_s8, "m16n8k64.row.col.s32.s8.s8.s32", "0x0", "r", int)
SPARSE(sparse_e4m3, "m16n8k64.row.col.f32.e4m3.e4m3.f32", "0x0", "f", float)
