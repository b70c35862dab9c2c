// Registers of four elements, as hand-written PTX has them.
extern "C" __global__ void vectors(const float4* in, float* out) {
    float sum;
    asm("{\n\t"
        ".reg .v4 .f32 value;\n\t"
        ".reg .v4 .f32 copy<2>;\n\t"
        ".reg .f32 part;\n\t"
        "ld.global.v4.f32 value, [%1];\n\t"
        "mov.v4.f32 copy1, value;\n\t"
        "add.f32 part, copy1.x, copy1.g;\n\t"
        "fma.rn.f32 %0, value.z, value.a, part;\n\t"
        "}"
        : "=f"(sum)
        : "l"(in + threadIdx.x));
    out[threadIdx.x] = sum;
}
