// Three mistakes in one kernel: a missing barrier, a read behind the end, and a value that nothing has written.
extern "C" __global__ void faults(int* in, int* out, int n) {
    __shared__ int tile[64];
    __shared__ int unused[4];
    int i = threadIdx.x;
    tile[i] = i;
    int other = tile[63 - i];
    int behind = in[n + i];
    if (n < 0) {
        unused[0] = 1;
    }
    out[i] = other + behind + unused[i % 4];
}
