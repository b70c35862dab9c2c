// What the CUDA runtime gives to kernels: printf, assert, malloc and functions through pointers.
#include <cassert>
#include <cstdio>

typedef int (*Operation)(int, int);

static __device__ int add(int a, int b) {
    return a + b;
}

static __device__ int multiply(int a, int b) {
    return a * b;
}

static __device__ Operation operations[2] = {add, multiply};

extern "C" __global__ void runtime(int* out, int limit) {
    int i = threadIdx.x;
    assert(i < limit);
    int* own = static_cast<int*>(malloc(8 * sizeof(int)));
    own[i % 8] = operations[i % 2](i, 3);
    out[i] = own[i % 8];
    free(own);
    if (i < 2) {
        printf("thread %d: %d %.1f %s\n", i, out[i], i + 0.5f, i == 0 ? "even" : "odd");
    }
}
