package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/**
 * From addresses of lanes to blocks and offsets; finds accesses out of bounds and out of step.
 *
 * <p>Tested by {@code MemoryConformanceTest}.
 */
final class AddressResolver {
    private AddressResolver() {}

    /** State spaces as instructions name them. */
    enum Space {
        GENERIC,
        GLOBAL,
        CONST,
        SHARED,
        LOCAL,
        PARAM
    }

    /**
     * Resolves the address of one lane into {@code access}.
     *
     * @param alignment that the address must be a multiple of
     * @throws Fault when it is not, or bytes are outside
     */
    static void resolve(
            Warp warp, Step step, int lane, Space space, long address, int bytes, int alignment, Access access) {
        Space where = space;
        long at = address;
        if (space == Space.GENERIC) {
            if (Windows.isShared(address)) {
                where = Space.SHARED;
                at = address - Windows.SHARED;
            } else if (Windows.isLocal(address)) {
                where = Space.LOCAL;
                at = address - Windows.LOCAL;
            } else if (Windows.isParameter(address)) {
                where = Space.PARAM;
                at = address - Windows.PARAM;
            } else {
                where = Space.GLOBAL;
            }
        }
        if ((at & alignment - 1) != 0) {
            throw warp.fault(
                    Fault.Kind.MISALIGNED,
                    step,
                    lane,
                    "address 0x" + Long.toHexString(address) + " is not a multiple of " + alignment);
        }
        switch (where) {
            case SHARED -> shared(warp, step, lane, at, bytes, access);
            case LOCAL -> local(warp, step, lane, at, bytes, access);
            case PARAM -> parameters(warp, step, lane, at, bytes, access);
            default -> global(warp, step, lane, at, bytes, access);
        }
    }

    /**
     * Resolves the addresses of all lanes where they are valid and in one region: the shared memory of the own block,
     * or the global memory that was accessed last.
     *
     * @return false where that is not so; then nothing is resolved
     */
    static boolean resolveTogether(Warp warp, int mask, Space space, int row, long offset, int bytes, Access access) {
        if (space != Space.SHARED && space != Space.GLOBAL && space != Space.GENERIC) {
            return false;
        }
        long[] r = warp.r;
        long least = Long.MAX_VALUE;
        long most = Long.MIN_VALUE;
        long all = 0;
        for (int left = mask; left != 0; left &= left - 1) {
            long address = r[row + Integer.numberOfTrailingZeros(left)] + offset;
            least = Math.min(least, address);
            most = Math.max(most, address);
            all |= address;
        }
        if ((all & bytes - 1) != 0) {
            return false;
        }
        Region region = space == Space.SHARED ? warp.cta.shared() : warp.lastGlobal;
        long base = space == Space.SHARED ? Cta.SHARED_BASE : region == null ? 0 : region.base();
        if (region == null
                || region.isFreed()
                || least < base
                || most + bytes > base + region.bytes()
                || space == Space.SHARED && !warp.sharedLayout.contains(least - base, (int) (most - least) + bytes)) {
            return false;
        }
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            access.blocks[lane] = region;
            access.offsets[lane] = (int) (r[row + lane] + offset - base);
        }
        return true;
    }

    private static void shared(Warp warp, Step step, int lane, long address, int bytes, Access access) {
        int rank = Windows.rank(address, warp.cta.rank());
        if (address < 0
                || address >>> 32 != 0
                || rank >= warp.cta.cluster().ctas().size()) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    "0x" + Long.toHexString(address) + " is not a shared address");
        }
        Region block = warp.cta.cluster().ctas().get(rank).shared();
        long offset = Windows.within(address) - Cta.SHARED_BASE;
        if (offset < 0 || offset + bytes > block.bytes()) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes at offset " + offset + " of " + block.bytes()
                            + " bytes of shared memory (static and dynamic)");
        }
        Layout layout = warp.cta.cluster().grid().code().sharedLayout();
        if (!layout.contains(offset, bytes)) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes of shared memory at " + layout.describe(offset));
        }
        access.blocks[lane] = block;
        access.offsets[lane] = (int) offset;
    }

    private static void local(Warp warp, Step step, int lane, long offset, int bytes, Access access) {
        int size = warp.cta.cluster().grid().code().localBytes();
        if (offset < 0 || offset + bytes > size) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes at offset " + offset + " of " + size + " bytes of local memory");
        }
        Layout layout = warp.cta.cluster().grid().code().localLayout();
        if (!layout.contains(offset, bytes) && !warp.isOnStack(lane, offset, bytes)) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes of local memory at " + layout.describe(offset));
        }
        access.blocks[lane] = warp.local();
        access.offsets[lane] = lane * size + (int) offset;
    }

    private static void parameters(Warp warp, Step step, int lane, long offset, int bytes, Access access) {
        Region block = warp.cta.cluster().grid().parameters();
        if (offset < 0 || offset + bytes > block.bytes()) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes at offset " + offset + " of " + block.bytes() + " bytes of parameters");
        }
        access.blocks[lane] = block;
        access.offsets[lane] = (int) offset;
    }

    private static void global(Warp warp, Step step, int lane, long address, int bytes, Access access) {
        Region block = lane > 0 ? access.blocks[lane - 1] : warp.lastGlobal;
        if (block == null
                || block.space() != Region.Space.GLOBAL
                || address < block.base()
                || address + bytes > block.base() + block.bytes()) {
            block = warp.cta.cluster().grid().memory().find(address);
        }
        if (block == null || address + bytes > block.base() + block.bytes()) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes at 0x" + Long.toHexString(address) + nearest(warp, block, address));
        }
        if (block.isFreed()) {
            throw warp.fault(
                    Fault.Kind.OUT_OF_BOUNDS,
                    step,
                    lane,
                    bytes + " bytes at 0x" + Long.toHexString(address) + " in " + block + ", which was freed");
        }
        warp.lastGlobal = block;
        access.blocks[lane] = block;
        access.offsets[lane] = (int) (address - block.base());
    }

    private static String nearest(Warp warp, @Nullable Region below, long address) {
        Region above = warp.cta.cluster().grid().memory().above(address);
        String text = below == null
                ? ""
                : ", " + (address - below.base() - below.bytes()) + " bytes behind the end of "
                        + warp.describe(below, 0);
        return text
                + (above == null ? "" : ", " + (above.base() - address) + " bytes before " + warp.describe(above, 0))
                + (below == null && above == null ? ": there is no allocation" : "");
    }
}
