// Arithmetic in f16 and bf16 on pairs; out[type, operation, i] with types f16, bf16 and operations a * b + c, a + b,
// a * b, max(a, b), a < b ? c : b.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <typename Pair, typename One>
static __device__ void arithmetic(Pair a, Pair b, Pair c, Pair* out, int pairs, int i) {
    out[i] = __hfma2(a, b, c);
    out[pairs + i] = __hadd2(a, b);
    out[2 * pairs + i] = __hmul2(a, b);
    out[3 * pairs + i] = __hmax2(a, b);
    One low = __hlt(__low2half(a), __low2half(b)) ? __low2half(c) : __low2half(b);
    One high = __hlt(__high2half(a), __high2half(b)) ? __high2half(c) : __high2half(b);
    out[4 * pairs + i] = __halves2half2(low, high);
}

// The same names for bf16.
static __device__ __nv_bfloat16 __low2half(__nv_bfloat162 a) { return __low2bfloat16(a); }
static __device__ __nv_bfloat16 __high2half(__nv_bfloat162 a) { return __high2bfloat16(a); }
static __device__ __nv_bfloat162 __halves2half2(__nv_bfloat16 a, __nv_bfloat16 b) { return __halves2bfloat162(a, b); }

// a, b and c hold 2 * pairs floats; whole[2, 2 * pairs] gets a in f16 and in bf16 rounded to whole numbers.
extern "C" __global__ void halves(
        const float2* __restrict__ a, const float2* __restrict__ b, const float2* __restrict__ c, __half2* f16, __nv_bfloat162* bf16,
        int2* whole, int pairs) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < pairs) {
        __half2 h = __float22half2_rn(a[i]);
        arithmetic<__half2, __half>(h, __float22half2_rn(b[i]), __float22half2_rn(c[i]), f16, pairs, i);
        whole[i] = make_int2(__half2int_rn(__low2half(h)), __half2int_rz(__high2half(h)));
        __nv_bfloat162 g = __float22bfloat162_rn(a[i]);
        arithmetic<__nv_bfloat162, __nv_bfloat16>(g, __float22bfloat162_rn(b[i]), __float22bfloat162_rn(c[i]), bf16, pairs, i);
        float2 wide = __bfloat1622float2(g);
        whole[pairs + i] = make_int2(__float2int_rn(wide.x), __float2int_rd(wide.y));
    }
}
