// Calls functions and reads a variable that link_library.cu defines; both files have a static function and a string of
// the same name.
#include <cstdio>

extern __device__ int scaled(int value);
extern __device__ int offset;

static __device__ __noinline__ int own(int value) {
    return value + 1;
}

extern "C" __global__ void linked(int* out) {
    int i = threadIdx.x;
    out[i] = scaled(own(i)) + offset;
    if (i == 0) {
        printf("main %d\n", own(i));
    }
}
