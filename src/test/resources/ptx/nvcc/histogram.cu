// Adds to bins[256] how often each byte occurs, to mass[256] the weights of those bytes, to *total the sum of bytes;
// widest: the largest 2 bytes that stand together at an even place, least: the smallest signed byte.
extern "C" __global__ void histogram(
        const unsigned char* __restrict__ x, const float* __restrict__ weight, int n, unsigned* bins, float* mass,
        unsigned long long* total, unsigned* widest, int* least) {
    __shared__ unsigned here[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) {
        here[i] = 0;
    }
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        unsigned value = x[i];
        atomicAdd(&here[value], 1u);
        atomicAdd(&mass[value], weight[i]);
        atomicMin(least, (int) (signed char) x[i]);
        if (i % 2 == 0 && i + 1 < n) {
            atomicMax(widest, (unsigned) *(const unsigned short*) (x + i));
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) {
        if (here[i] != 0) {
            atomicAdd(&bins[i], here[i]);
            atomicAdd(total, (unsigned long long) here[i] * i);
        }
    }
}
