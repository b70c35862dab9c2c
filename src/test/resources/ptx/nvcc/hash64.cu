// out[i, 0 .. 11]: 64-bit integer arithmetic on two words of a xorshift generator seeded with seed and i.
typedef unsigned long long u64;

static __device__ u64 step(u64& state) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1DULL;
}

extern "C" __global__ void hash64(u64* out, int n, u64 seed) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    u64 state = seed + (u64) i * 0x9E3779B97F4A7C15ULL;
    u64 a = step(state);
    u64 b = step(state) >> (i % 61);
    u64 divisor = b == 0 ? 1 : b;
    long long s = (long long) a;
    long long d = (i & 1) ? -(long long) (divisor >> 1) - 1 : (long long) (divisor >> 1) + 1;
    u64* row = out + (size_t) i * 12;
    row[0] = a / divisor;
    row[1] = a % divisor;
    row[2] = (u64) (s / d);
    row[3] = (u64) (s % d);
    row[4] = __umul64hi(a, b);
    row[5] = (u64) __mul64hi(s, d);
    row[6] = ((u64) __popcll(a) << 32) | (u64) __clzll((long long) b);
    row[7] = __brevll(a) ^ (u64) __ffsll((long long) b);
    row[8] = ((u64) __funnelshift_l((unsigned) a, (unsigned) b, i) << 32) | __byte_perm((unsigned) a, (unsigned) b, 0x5146 + i % 2);
    row[9] = (u64) (s >> (i % 64)) + (a % 1000003ULL);
    row[10] = (u64) __umulhi((unsigned) a, (unsigned) b) * (unsigned) (a >> 32) + __sad((int) a, (int) b, 7u);
    row[11] = (u64) (long long) ((int) a / ((int) (b & 0xffff) + 1)) ^ ((unsigned) a % ((unsigned) (b & 0xff) + 3));
}
