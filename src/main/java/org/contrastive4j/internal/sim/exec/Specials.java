package org.contrastive4j.internal.sim.exec;

import java.util.Set;
import org.contrastive4j.device.PtxModule.Launch;

/**
 * Values of special registers; those that change while a warp runs are computed on each read.
 *
 * <p>Tested by {@code WarpConformanceTest}.
 */
final class Specials {
    private static final Set<String> CHANGING =
            Set.of("%clock", "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi");

    private Specials() {}

    static boolean isChanging(String name) {
        return CHANGING.contains(name);
    }

    /** Returns the number of instructions of the cluster, which serves as the clock. */
    static long clock(String name, Warp warp) {
        long now = warp.cta.cluster().executed() + warp.executed() + 1;
        return switch (name) {
            case "%clock", "%globaltimer_lo" -> now & 0xFFFFFFFFL;
            case "%clock_hi", "%globaltimer_hi" -> now >>> 32;
            default -> now;
        };
    }

    static boolean isKnown(String name) {
        return isChanging(name)
                || name.matches("%envreg\\d+|%pm\\d(_64)?")
                || name.matches("%(tid|ntid|ctaid|nctaid|clusterid|nclusterid|cluster_ctaid|cluster_nctaid)\\.[xyz]")
                || Set.of(
                                "%laneid",
                                "%warpid",
                                "%nwarpid",
                                "%smid",
                                "%nsmid",
                                "%gridid",
                                "%is_explicit_cluster",
                                "%cluster_ctarank",
                                "%cluster_nctarank",
                                "%lanemask_eq",
                                "%lanemask_le",
                                "%lanemask_lt",
                                "%lanemask_ge",
                                "%lanemask_gt",
                                "%total_smem_size",
                                "%aggr_smem_size",
                                "%dynamic_smem_size",
                                "%current_graph_exec",
                                "WARP_SZ")
                        .contains(name);
    }

    static long value(String name, Warp warp, int lane) {
        Cta cta = warp.cta;
        Grid grid = cta.cluster().grid();
        int dot = name.indexOf('.');
        if (dot >= 0) {
            Launch.Dim dim = triple(name.substring(0, dot), warp, lane);
            return switch (name.charAt(dot + 1)) {
                case 'x' -> dim.x();
                case 'y' -> dim.y();
                default -> dim.z();
            };
        }
        long one = 1L << lane;
        long all = 0xFFFFFFFFL;
        return switch (name) {
            case "%laneid" -> lane;
            case "%warpid" -> warp.index();
            case "%nwarpid" -> 64;
            case "%smid" -> cta.cluster().index() % 132;
            case "%nsmid" -> 132;
            case "%gridid" -> 1;
            case "%is_explicit_cluster" -> grid.clusterSize().count() > 1 ? 1 : 0;
            case "%cluster_ctarank" -> cta.rank();
            case "%cluster_nctarank" -> grid.clusterSize().count();
            case "%lanemask_eq" -> one;
            case "%lanemask_lt" -> one - 1;
            case "%lanemask_le" -> one * 2 - 1;
            case "%lanemask_gt" -> all & -(one * 2);
            case "%lanemask_ge" -> all & -one;
            case "%total_smem_size", "%aggr_smem_size" ->
                grid.code().sharedBytes() + grid.launch().sharedBytes();
            case "%dynamic_smem_size" -> grid.launch().sharedBytes();
            case "WARP_SZ" -> Warp.LANES;
            case "%envreg1" -> grid.workspace() >>> 32; // the address of what the blocks of a cooperative grid share
            case "%envreg2" -> grid.workspace() & all;
            default -> 0;
        };
    }

    private static Launch.Dim triple(String name, Warp warp, int lane) {
        Cta cta = warp.cta;
        Grid grid = cta.cluster().grid();
        Launch.Dim size = grid.clusterSize();
        Launch.Dim block = cta.index();
        Launch.Dim all = grid.launch().grid();
        return switch (name) {
            case "%tid" -> cta.thread(warp.lane0Thread() + lane);
            case "%ntid" -> grid.launch().block();
            case "%ctaid" -> block;
            case "%nctaid" -> all;
            case "%clusterid" -> new Launch.Dim(block.x() / size.x(), block.y() / size.y(), block.z() / size.z());
            case "%nclusterid" -> new Launch.Dim(all.x() / size.x(), all.y() / size.y(), all.z() / size.z());
            case "%cluster_ctaid" -> new Launch.Dim(block.x() % size.x(), block.y() % size.y(), block.z() % size.z());
            default -> size;
        };
    }
}
