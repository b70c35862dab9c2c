// Sums i numbers in an array whose size the thread knows only when it runs.
extern "C" __global__ void dynamicarray(int* out, int beyond) {
    int n = threadIdx.x + 1;
    int* values = static_cast<int*>(__builtin_alloca(n * sizeof(int)));
    for (int i = 0; i < n; i++) {
        values[i] = i + n;
    }
    int sum = 0;
    for (int i = 0; i < n + beyond; i++) {
        sum += values[i];
    }
    out[threadIdx.x] = sum;
}
