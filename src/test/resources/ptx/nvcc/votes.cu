// out[i, 0 .. 11]: what the threads of a warp that have an element learn of each other.
extern "C" __global__ void votes(const int* __restrict__ x, const unsigned* __restrict__ y, int n, unsigned* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned here = __ballot_sync(0xffffffffu, i < n);
    if (i >= n) {
        return;
    }
    int value = x[i];
    unsigned bits = y[i];
    int lane = threadIdx.x & 31;
    int same;
    unsigned all = __match_all_sync(here, value >> 3, &same);
    unsigned* row = out + (size_t) i * 12;
    row[0] = __ballot_sync(here, value & 1);
    row[1] = __match_any_sync(here, value);
    row[2] = (unsigned) __reduce_add_sync(here, value);
    row[3] = __reduce_add_sync(here, bits);
    row[4] = (unsigned) __reduce_min_sync(here, value);
    row[5] = __reduce_max_sync(here, bits);
    row[6] = __reduce_and_sync(here, bits | 0xff) ^ __reduce_or_sync(here, bits & 0xff00) ^ __reduce_xor_sync(here, bits);
    row[7] = (__any_sync(here, value == 5) ? 1 : 0) | (__all_sync(here, value < 12) ? 2 : 0);
    row[8] = all | (same ? 0x80000000u : 0);
    row[9] = __popc(here & ((1u << lane) - 1));
    row[10] = __shfl_sync(here, bits, value & 7, 8) + (unsigned) __shfl_up_sync(here, value, 3);
    // Only lanes with a bit set go this way: a mask that is not a whole run.
    unsigned odd = __ballot_sync(here, value & 1);
    if (value & 1) {
        row[11] = __reduce_add_sync(odd, bits) + __shfl_sync(odd, bits, __ffs(odd) - 1);
    } else {
        row[11] = __match_any_sync(here & ~odd, value / 2);
    }
}
