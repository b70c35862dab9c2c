// Clusters of 4 blocks share a histogram of 64 bins, 16 in the shared memory of each; bins[cluster, 64]; turned[b,
// t] = what thread 63 - t of the next block of the cluster put into its shared memory. Blocks of 64 threads.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;

extern "C" __global__ void __cluster_dims__(4, 1, 1) cluster(const int* __restrict__ x, int n, unsigned* bins, int* turned) {
    __shared__ unsigned part[16];
    __shared__ int own[64];
    cg::cluster_group group = cg::this_cluster();
    unsigned rank = group.block_rank();
    int t = threadIdx.x;
    if (t < 16) {
        part[t] = 0;
    }
    own[t] = blockIdx.x * 1000 + t;
    group.sync();
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) {
        int bin = x[i] & 63;
        atomicAdd(group.map_shared_rank(part, bin / 16) + bin % 16, 1u);
    }
    turned[blockIdx.x * 64 + t] = group.map_shared_rank(own, (rank + 1) % group.num_blocks())[63 - t];
    group.sync();
    if (t < 16) {
        bins[(blockIdx.x / 4) * 64 + rank * 16 + t] = part[t];
    }
}
