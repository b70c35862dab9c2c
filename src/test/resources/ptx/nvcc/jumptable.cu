// out[i] = x[i] after rounds[i] turns of one of five operations, chosen by an indexed branch: nvcc makes a tree of
// comparisons of every switch, so this jump table is inline PTX.
extern "C" __global__ void jumptable(const int* __restrict__ x, const int* __restrict__ rounds, int* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    int value = x[i];
#pragma unroll 1
    for (int turn = 0; turn < rounds[i]; turn++) {
        unsigned which = (unsigned) value % 5;
        asm volatile(
            "{\n\t"
            "table: .branchtargets plus, times, flip, shift, keep;\n\t"
            "brx.idx %1, table;\n"
            "plus: add.s32 %0, %0, %2;\n\t"
            "bra.uni done;\n"
            "times: mad.lo.s32 %0, %0, 3, 1;\n\t"
            "bra.uni done;\n"
            "flip: xor.b32 %0, %0, 0x5a5a;\n\t"
            "bra.uni done;\n"
            "shift: shr.s32 %0, %0, 1;\n\t"
            "bra.uni done;\n"
            "keep: sub.s32 %0, %0, 1;\n"
            "done:\n\t"
            "}"
            : "+r"(value) : "r"(which), "r"(i));
    }
    out[i] = value;
}
