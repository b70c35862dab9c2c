package org.contrastive4j.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.LongBuffer;
import java.util.List;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;

/**
 * A kernel around one instruction: each lane loads its operands into {@code a, b, c, x}, runs the body, and stores
 * {@code d, d1, d2, ...}.
 *
 * <p>Each operand and result occupies 8 bytes in memory; only as many as its width are read or written. The body may
 * use the predicates {@code p, q, r} and the 32-bit registers {@code t, u}.
 *
 * @param architecture smallest that has the instruction
 */
record MicroKernel(String name, int architecture, List<Kind> results, List<Kind> operands, String body) {
    /** Contents of results before the launch; bytes beyond a result must keep it. */
    static final long POISON = 0xdead_beef_cafe_babeL;

    private static final int BLOCK = 128;
    private static final List<String> OPERANDS = List.of("a", "b", "c", "x");

    /** Returns the body {@code instruction d, a, b, ...;}. */
    static String plain(String instruction, int operands) {
        return instruction + " d, " + String.join(", ", OPERANDS.subList(0, operands)) + ";";
    }

    String entry() {
        return "k_" + name.replaceAll("[^A-Za-z0-9]+", "_");
    }

    String ptx() {
        StringBuilder text = new StringBuilder();
        text.append(".version 8.0\n.target sm_").append(architecture).append("\n.address_size 64\n\n");
        text.append(".visible .entry ")
                .append(entry())
                .append("(.param .u64 in, .param .u64 out, .param .u32 lanes)\n{\n");
        text.append("    .reg .u32 tid, ntid, ctaid, lane, count, t, u;\n    .reg .u64 from, to, at;\n    .reg "
                + ".pred p, q, r, beyond;\n");
        for (int i = 0; i < operands.size(); i++) {
            text.append("    .reg .")
                    .append(operands.get(i).register)
                    .append(" ")
                    .append(OPERANDS.get(i))
                    .append(";\n");
        }
        for (int i = 0; i < results.size(); i++) {
            text.append("    .reg .")
                    .append(results.get(i).register)
                    .append(" ")
                    .append(result(i))
                    .append(";\n");
        }
        text.append("    ld.param.u64 from, [in];\n    ld.param.u64 to, [out];\n    ld.param.u32 count, [lanes];\n");
        text.append("    cvta.to.global.u64 from, from;\n    cvta.to.global.u64 to, to;\n");
        text.append("    mov.u32 tid, %tid.x;\n    mov.u32 ntid, %ntid.x;\n    mov.u32 ctaid, %ctaid.x;\n");
        text.append("    mad.lo.u32 lane, ctaid, ntid, tid;\n    setp.ge.u32 beyond, lane, count;\n    @beyond ret;\n");
        text.append("    mul.wide.u32 at, lane, ")
                .append(operands.size() * 8)
                .append(";\n    add.u64 from, from, at;\n");
        text.append("    mul.wide.u32 at, lane, ").append(results.size() * 8).append(";\n    add.u64 to, to, at;\n");
        for (int i = 0; i < operands.size(); i++) {
            text.append("    ld.global.")
                    .append(operands.get(i).load)
                    .append(" ")
                    .append(OPERANDS.get(i))
                    .append(", [from+")
                    .append(i * 8)
                    .append("];\n");
        }
        text.append("    ").append(body.strip().replace("\n", "\n    ")).append("\n");
        for (int i = 0; i < results.size(); i++) {
            text.append("    st.global.")
                    .append(results.get(i).store)
                    .append(" [to+")
                    .append(i * 8)
                    .append("], ")
                    .append(result(i))
                    .append(";\n");
        }
        return text.append("    ret;\n}\n").toString();
    }

    static String result(int index) {
        return index == 0 ? "d" : "d" + index;
    }

    /** Returns the results of each lane; bits beyond their width are zero. */
    long[][] run(PtxDevice device, List<long[]> lanes) {
        assumeTrue(device.facts().architecture() >= architecture, "needs sm_" + architecture);
        long[] in = lanes.stream().flatMapToLong(java.util.Arrays::stream).toArray();
        long[] out = new long[lanes.size() * results.size()];
        java.util.Arrays.fill(out, POISON);
        try (DeviceStorage from = Devices.longs(device, in);
                DeviceStorage to = Devices.longs(device, out)) {
            Launch launch = Launch.of((lanes.size() + BLOCK - 1) / BLOCK, BLOCK);
            device.module(entry() + ".ptx", ptx())
                    .kernel(entry())
                    .launch(device.stream(), launch, from, to, lanes.size());
            device.stream().synchronize();
            return split(LongBuffer.wrap(Devices.toLongs(to)), lanes.size());
        }
    }

    private long[][] split(LongBuffer stored, int lanes) {
        long[][] split = new long[lanes][results.size()];
        for (long[] lane : split) {
            for (int i = 0; i < lane.length; i++) {
                long mask = Kind.mask(results.get(i).storedBits);
                long slot = stored.get();
                assertEquals(POISON & ~mask, slot & ~mask, () -> name + " wrote beyond its result");
                lane[i] = slot & mask;
            }
        }
        return split;
    }
}
