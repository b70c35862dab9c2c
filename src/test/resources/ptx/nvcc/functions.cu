// out[f, i] for f = sin, cos, log |.|, exp2, tanh, expm1, log1p |.|, cbrt, hypot(., 3), |.| to the power 0.7,
// atan2(., 0.5), fmod(., 0.75) of x[i].
extern "C" __global__ void functions(const float* __restrict__ x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float v = x[i];
        float a = fabsf(v);
        out[i] = sinf(v);
        out[n + i] = cosf(v);
        out[2 * n + i] = logf(a);
        out[3 * n + i] = exp2f(v);
        out[4 * n + i] = tanhf(v);
        out[5 * n + i] = expm1f(v);
        out[6 * n + i] = log1pf(a);
        out[7 * n + i] = cbrtf(v);
        out[8 * n + i] = hypotf(v, 3.0f);
        out[9 * n + i] = powf(a, 0.7f);
        out[10 * n + i] = atan2f(v, 0.5f);
        out[11 * n + i] = fmodf(v, 0.75f);
    }
}
