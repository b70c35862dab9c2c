package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Type;

/**
 * A kernel ready to run: decoded steps, and what a warp and a block need.
 *
 * @param template initial rows of a warp: constants in their rows, zeros elsewhere
 * @param specials rows of special registers by name
 * @param sharedBytes static shared memory, as a compiler packs it
 * @param sharedLayout where its variables lie here, with gaps
 * @param sharedEnd offset at which dynamic shared memory begins here
 * @param reservedShared address of the shared memory that the system reserves; 0 where no instruction asks for it
 * @param localBytes per lane
 * @param stackBase where {@code alloca} begins in the local memory of a lane; -1 where no instruction uses it
 * @param localLayout where the variables of a lane lie
 * @param names of registers by row, for messages
 * @param usesAsyncProxy whether bulk copies or wgmma access memory
 * @param types of registers by row
 * @param communicatesAcrossBlocks whether blocks can communicate: atomics, fences or strong accesses on global
 *     memory
 */
public record Code(
        Function function,
        Step[] steps,
        long[] template,
        Map<String, Integer> specials,
        int predicates,
        int sharedBytes,
        Layout sharedLayout,
        int sharedEnd,
        int reservedShared,
        int localBytes,
        int stackBase,
        Layout localLayout,
        Launch.Dim clusterSize,
        boolean communicatesAcrossBlocks,
        boolean usesWgmma,
        boolean usesAsyncProxy,
        String[] names,
        Type[] types) {
    public String name() {
        return function.name();
    }

    long[] freshRows() {
        return template.clone();
    }

    /** Writes the special registers of a warp. */
    void fillSpecials(Warp warp) {
        specials.forEach((name, row) -> {
            for (int lane = 0; lane < Warp.LANES; lane++) {
                warp.r[row + lane] = Specials.value(name, warp, lane);
            }
        });
    }
}
