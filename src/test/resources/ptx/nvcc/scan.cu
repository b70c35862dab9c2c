// Inclusive prefix sums within segments of 256 (Blelloch's two sweeps, padded against bank conflicts); blocks of 128
// threads.
#define SEGMENT 256
#define PADDED(i) ((i) + ((i) >> 5))

extern "C" __global__ void scan(const int* __restrict__ x, int n, int* inclusive, int* totals) {
    __shared__ int tree[PADDED(SEGMENT)];
    int t = threadIdx.x;
    int first = blockIdx.x * SEGMENT + t;
    int second = first + SEGMENT / 2;
    int a = first < n ? x[first] : 0;
    int b = second < n ? x[second] : 0;
    tree[PADDED(t)] = a;
    tree[PADDED(t + SEGMENT / 2)] = b;
    int stride = 1;
    for (int active = SEGMENT / 2; active > 0; active >>= 1) {
        __syncthreads();
        if (t < active) {
            tree[PADDED(stride * (2 * t + 2) - 1)] += tree[PADDED(stride * (2 * t + 1) - 1)];
        }
        stride *= 2;
    }
    if (t == 0) {
        totals[blockIdx.x] = tree[PADDED(SEGMENT - 1)];
        tree[PADDED(SEGMENT - 1)] = 0;
    }
    for (int active = 1; active < SEGMENT; active *= 2) {
        stride >>= 1;
        __syncthreads();
        if (t < active) {
            int left = PADDED(stride * (2 * t + 1) - 1);
            int right = PADDED(stride * (2 * t + 2) - 1);
            int kept = tree[left];
            tree[left] = tree[right];
            tree[right] += kept;
        }
    }
    __syncthreads();
    if (first < n) {
        inclusive[first] = tree[PADDED(t)] + a;
    }
    if (second < n) {
        inclusive[second] = tree[PADDED(t + SEGMENT / 2)] + b;
    }
}
