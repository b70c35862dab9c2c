// Defines what link_main.cu declares.
#include <cstdio>

__device__ int offset = 100;

static __device__ __noinline__ int own(int value) {
    if (value == 1) {
        printf("library %d\n", value);
    }
    return 3 * value;
}

__device__ __noinline__ int scaled(int value) {
    return own(value);
}
