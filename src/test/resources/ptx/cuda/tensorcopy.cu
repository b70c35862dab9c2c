// Boxes of tensors that a map describes: one copy to shared memory, its bytes as they lie there, and back by another map.
#include <cuda.h>
#include <cuda/std/cstdint>
#include <cuda/ptx>

namespace ptx = cuda::ptx;

template <int RANK>
static __device__ void load(unsigned char* box, const CUtensorMap* map, const int* at, cuda::std::uint64_t* barrier) {
    int coordinates[RANK];
    for (int d = 0; d < RANK; d++) {
        coordinates[d] = at[d];
    }
    ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, box, map, coordinates, barrier);
}

template <int RANK>
static __device__ void store(const unsigned char* box, const CUtensorMap* map, const int* at) {
    int coordinates[RANK];
    for (int d = 0; d < RANK; d++) {
        coordinates[d] = at[d];
    }
    ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, map, coordinates, box);
}

template <int RANK>
static __device__ void copy(
        const CUtensorMap* from, const CUtensorMap* to, const int* at, unsigned char* out, int bytes) {
    extern __shared__ __align__(1024) unsigned char box[];
    __shared__ cuda::std::uint64_t barrier;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&barrier, 1);
        ptx::fence_proxy_async();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        load<RANK>(box, from, at, &barrier);
        ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &barrier, bytes);
    }
    while (!ptx::mbarrier_try_wait_parity(&barrier, 0)) {
    }
    for (int i = threadIdx.x; i < bytes; i += blockDim.x) {
        out[i] = box[i];
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::fence_proxy_async();
        store<RANK>(box, to, at);
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
    }
}

#define COPY(RANK)                                                                                                     \
    extern "C" __global__ void copy##RANK##d(                                                                          \
            const __grid_constant__ CUtensorMap from, const __grid_constant__ CUtensorMap to, const int* at,           \
            unsigned char* out, int bytes) {                                                                           \
        copy<RANK>(&from, &to, at, out, bytes);                                                                        \
    }

COPY(1)
COPY(2)
COPY(3)
COPY(4)
COPY(5)
