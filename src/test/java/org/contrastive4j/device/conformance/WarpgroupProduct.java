package org.contrastive4j.device.conformance;

import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A matrix product of a warpgroup, D = scale C + sign A B over several steps, and its kernel.
 *
 * @param in format of A and B
 * @param sum format of C and D
 * @param columns N
 * @param steps number of instructions, each of 32 bytes of depth
 * @param left layout of A in shared memory, or null for registers
 * @param right layout of B in shared memory
 * @param accumulate whether the first step adds to C
 * @param negated 1 for A, 2 for B, 3 for both
 */
record WarpgroupProduct(
        SmallFloat in,
        SmallFloat sum,
        int columns,
        int steps,
        OperandLayout left,
        OperandLayout right,
        boolean accumulate,
        int negated) {
    static final int ROWS = 64;
    static final int THREADS = 128;
    static final String NAME = "warpgroup_product";

    private static final String TEXT = """
            // out = A B, or out + A B when p_accumulate is not 0, of one warpgroup, registers of a thread side by side;
            // descriptors address A and B in shared memory; or A is in the registers of p_left
            .version 8.0
            .target sm_90a
            .address_size 64

            .extern .shared .align 1024 .b8 image[];

            .visible .entry warpgroup_product(.param .u64 p_out, .param .u64 p_image, .param .u32 p_words,
                .param .u64 p_left, .param .u64 p_a, .param .u64 p_b, .param .u32 p_accumulate)
            .reqntid 128, 1, 1
            {
                .reg .pred %more, %accumulate, %yes;
                .reg .b32 %t, %i, %n, %at, %v, %a<LEFT>;
                .reg SUM %d<REGISTERS>;
                .reg .b64 %out, %in, %left, %a, %b, %base, %x, %y;
                ld.param.u64 %out, [p_out];
                ld.param.u64 %in, [p_image];
                ld.param.u32 %n, [p_words];
                ld.param.u64 %left, [p_left];
                ld.param.u64 %a, [p_a];
                ld.param.u64 %b, [p_b];
                ld.param.u32 %v, [p_accumulate];
                cvta.to.global.u64 %out, %out;
                cvta.to.global.u64 %in, %in;
                cvta.to.global.u64 %left, %left;
                setp.ne.u32 %accumulate, %v, 0;
                mov.u32 %t, %tid.x;
                mad.wide.u32 %in, %t, 4, %in;
                mad.wide.u32 %out, %t, OUT_BYTES, %out;
                mad.wide.u32 %left, %t, LEFT_BYTES, %left;
                mov.u32 %at, image;
                shr.u32 %v, %at, 4;
                cvt.u64.u32 %base, %v;
                add.u64 %a, %a, %base;
                add.u64 %b, %b, %base;
                mad.lo.u32 %at, %t, 4, %at;
                mov.u32 %i, %t;
            Copy:
                setp.ge.u32 %more, %i, %n;
                @%more bra Copied;
                ld.global.u32 %v, [%in];
                st.shared.u32 [%at], %v;
                add.u64 %in, %in, 512;
                add.u32 %at, %at, 512;
                add.u32 %i, %i, 128;
                bra Copy;
            Copied:
                bar.warp.sync 0xFFFFFFFF;
                fence.proxy.async.shared::cta;
                bar.sync 0;
                setp.eq.u32 %yes, %n, %n;
            LOADS
                wgmma.fence.sync.aligned;
            STEPS
                wgmma.wait_group.sync.aligned 1;
                wgmma.wait_group.sync.aligned 0;
            STORES
                ret;
            }
            """;

    int depth() {
        return steps * stepDepth();
    }

    int stepDepth() {
        return 256 / in.width();
    }

    /** Returns the number of registers of a thread that hold C and D. */
    int registers() {
        return ROWS * columns / THREADS * sum.width() / 32;
    }

    String ptx() {
        String type = sum == SmallFloat.F32 ? ".f32" : ".b32";
        return TEXT.replace(
                        "LOADS\n",
                        lines(registers(), "ld.global" + type + " %d#, [%out+@];")
                                + (left == null ? lines(4 * steps, "ld.global.b32 %a#, [%left+@];") : ""))
                .replace(
                        "STEPS\n",
                        IntStream.range(0, steps).mapToObj(this::step).collect(Collectors.joining()))
                .replace("STORES\n", lines(registers(), "st.global" + type + " [%out+@], %d#;"))
                .replace("OUT_BYTES", "" + 4 * registers())
                .replace("LEFT_BYTES", "" + 16 * steps)
                .replace("<LEFT>", "<" + 4 * steps + ">")
                .replace("REGISTERS", "" + registers())
                .replace("SUM", type);
    }

    /** Returns the instruction of a step; a group is committed after every second step and after the last. */
    private String step(int step) {
        String type = "." + in.name().toLowerCase(Locale.ROOT);
        String a = left == null ? list("%a", 4 * step, 4) : "%x";
        String signs = ", " + ((negated & 1) != 0 ? -1 : 1) + ", " + ((negated & 2) != 0 ? -1 : 1);
        String across = in.width() != 16
                ? ""
                : (left == null ? "" : ", " + (left.across() ? 1 : 0)) + ", " + (right.across() ? 1 : 0);
        String text = left == null ? "" : "    add.u64 %x, %a, " + left.offset(step) / 16 + ";\n";
        text += "    add.u64 %y, %b, " + right.offset(step) / 16 + ";\n"
                + "    wgmma.mma_async.sync.aligned.m64n" + columns + "k" + stepDepth() + "."
                + sum.name().toLowerCase(Locale.ROOT) + type + type + "\n        " + list("%d", 0, registers())
                + ",\n        " + a + ", %y, " + (step == 0 ? "%accumulate" : "%yes") + signs + across + ";\n";
        return step % 2 == 1 || step == steps - 1 ? text + "    wgmma.commit_group.sync.aligned;\n" : text;
    }

    private static String list(String name, int from, int count) {
        return IntStream.range(from, from + count).mapToObj(i -> name + i).collect(Collectors.joining(", ", "{", "}"));
    }

    private static String lines(int count, String pattern) {
        return IntStream.range(0, count)
                .mapToObj(i -> "    " + pattern.replace("#", "" + i).replace("@", "" + 4 * i) + "\n")
                .collect(Collectors.joining());
    }

    @Override
    public String toString() {
        return in + " to " + sum + ", n " + columns + ", " + steps + " steps, A "
                + (left == null ? "in registers" : left) + ", B " + right + (accumulate ? ", with C" : ", without C")
                + ", negated " + negated;
    }
}
