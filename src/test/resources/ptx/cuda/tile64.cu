// Two warps form one group, which synchronises through shared memory that the system reserves.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

namespace cg = cooperative_groups;

extern "C" __global__ void tile64(int* out) {
    auto block = cg::this_thread_block();
    auto tile = cg::tiled_partition<64>(block);
    __shared__ int values[128];
    values[threadIdx.x] = threadIdx.x;
    tile.sync();
    out[threadIdx.x] = values[threadIdx.x ^ 32] + cg::reduce(tile, 1, cg::plus<int>());
}
