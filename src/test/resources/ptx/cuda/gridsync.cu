// Every block writes, the whole grid synchronises, and every block reads what the next one has written.
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

extern "C" __global__ void gridsync(int* buffer, int* out) {
    cg::grid_group grid = cg::this_grid();
    int i = grid.thread_rank();
    int n = grid.size();
    for (int round = 0; round < 3; round++) {
        buffer[i] = i + round;
        grid.sync();
        out[i] = buffer[(i + blockDim.x) % n];
        grid.sync();
    }
}
