// Reads a texture, and an entry beside it that does not.
extern "C" __global__ void textured(cudaTextureObject_t texture, float* out) {
    out[threadIdx.x] = tex1Dfetch<float>(texture, threadIdx.x);
}

extern "C" __global__ void plain(float* out) {
    out[threadIdx.x] = threadIdx.x;
}
