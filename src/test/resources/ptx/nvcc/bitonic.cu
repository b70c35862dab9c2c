// Sorts runs of 32 (key, value) pairs, ascending by key and then by value, in registers of a warp; one thread per
// pair, the last run may be short.
extern "C" __global__ void bitonic(int* keys, unsigned* values, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int lane = threadIdx.x & 31;
    int key = i < n ? keys[i] : 2147483647;
    unsigned value = i < n ? values[i] : 0xffffffffu;
#pragma unroll
    for (int size = 2; size <= 32; size *= 2) {
#pragma unroll
        for (int stride = size / 2; stride > 0; stride /= 2) {
            int otherKey = __shfl_xor_sync(0xffffffffu, key, stride);
            unsigned otherValue = __shfl_xor_sync(0xffffffffu, value, stride);
            bool ascending = (lane & size) == 0;
            bool lower = (lane & stride) == 0;
            bool otherLess = otherKey < key || (otherKey == key && otherValue < value);
            if ((ascending == lower) == otherLess) {
                key = otherKey;
                value = otherValue;
            }
        }
    }
    if (i < n) {
        keys[i] = key;
        values[i] = value;
    }
}
