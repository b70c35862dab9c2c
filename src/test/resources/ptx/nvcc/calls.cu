// steps[i], peak[i]: length and highest point of the 3x + 1 sequence from x[i]; common[i] = greatest common divisor
// of x[i] and its neighbour; powers[i] = x[i] to the (5 + i % 3) modulo 2^32 by recursion.
struct Path {
    unsigned long long peak;
    int steps;
};

static __device__ __noinline__ Path walk(unsigned start) {
    Path path = {start, 0};
    for (unsigned long long at = start; at > 1; path.steps++) {
        at = at % 2 == 0 ? at / 2 : 3 * at + 1;
        path.peak = at > path.peak ? at : path.peak;
    }
    return path;
}

static __device__ __noinline__ void divisor(unsigned a, unsigned b, unsigned* common) {
    while (b != 0) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    *common = a;
}

static __device__ __noinline__ unsigned power(unsigned base, int exponent) {
    if (exponent == 0) {
        return 1;
    }
    unsigned half = power(base, exponent / 2);
    return exponent % 2 == 0 ? half * half : half * half * base;
}

extern "C" __global__ void calls(
        const unsigned* __restrict__ x, int n, int* steps, unsigned long long* peak, unsigned* common, unsigned* powers) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        Path path = walk(x[i]);
        steps[i] = path.steps;
        peak[i] = path.peak;
        unsigned found;
        divisor(x[i], x[(i + 1) % n], &found);
        common[i] = found;
        powers[i] = power(x[i], 5 + i % 3);
    }
}
