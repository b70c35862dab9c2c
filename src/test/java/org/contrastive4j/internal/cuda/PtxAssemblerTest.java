package org.contrastive4j.internal.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.device.Assembly.Entry;
import org.contrastive4j.support.NeedsPtxAssembler;
import org.contrastive4j.support.SampledSeeds;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The real assembler, offline: what it says of good kernels, and that nothing brings it down. */
@NeedsPtxAssembler
class PtxAssemblerTest {
    private static final String HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n";
    static final String GOOD = HEAD + """
            // adds, through shared memory and a barrier
            .visible .entry add(.param .u64 x, .param .f32 a)
            {
                .reg .b64 p, q;
                .reg .b32 t, s;
                .reg .f32 f, g;
                .shared .align 4 .b8 tile[400];
                ld.param.u64 p, [x];
                ld.param.f32 g, [a];
                mov.u32 t, %tid.x;
                mad.wide.u32 q, t, 4, p;
                mov.u32 s, tile;
                mad.lo.u32 s, t, 4, s;
                ld.global.f32 f, [q];
                st.shared.f32 [s], f;
                bar.sync 0;
                ld.shared.f32 f, [s];
                bar.sync 1;
                add.f32 f, f, g;
                st.global.f32 [q], f;
                ret;
            }
            .visible .entry nothing() { ret; }
            """;

    private static PtxException refusal(String ptx) {
        PtxException refused =
                assertThrows(PtxException.class, () -> PtxAssembler.assemble("k.ptx", ptx, "sm_80"), ptx);
        assertEquals("k.ptx", refused.file());
        return refused;
    }

    @Test
    void assemble_validKernel_reportsItsResources() {
        for (String architecture : List.of("sm_80", "sm_86", "sm_90a")) {
            Assembly report = PtxAssembler.assemble("good.ptx", GOOD, architecture);
            assertEquals(architecture, report.architecture());
            assertEquals(List.of("add", "nothing"), List.copyOf(report.entries().keySet()));
            Entry add = report.entries().get("add");
            assertTrue(add.registers() > 0 && add.registers() < 32, add.toString());
            assertEquals(new Entry(add.registers(), 0, 0, 0, 400, 2), add);
            Entry nothing = report.entries().get("nothing");
            assertEquals(new Entry(nothing.registers(), 0, 0, 0, 0, 0), nothing);
            assertEquals(List.of(), report.advisories());
            assertTrue(report.log().contains("registers"), report.log());
        }
    }

    @Test
    void assemble_tooFewRegisters_reportsSpills() {
        StringBuilder ptx = new StringBuilder(HEAD + ".visible .entry spill(.param .u64 p)\n.maxnreg 24\n{\n"
                + ".reg .b64 a;\n.reg .f32 f<48>;\nld.param.u64 a, [p];\n");
        for (int i = 0; i < 48; i++) {
            ptx.append("ld.volatile.global.f32 f")
                    .append(i)
                    .append(", [a+")
                    .append(4 * i)
                    .append("];\n");
        }
        for (int i = 0; i < 48; i++) {
            ptx.append("st.volatile.global.f32 [a+")
                    .append(4 * i)
                    .append("], f")
                    .append(47 - i)
                    .append(";\n");
        }
        Entry spill = PtxAssembler.assemble("spill.ptx", ptx.append("ret;\n}\n").toString(), "sm_80")
                .entries()
                .get("spill");
        assertTrue(spill.registers() <= 24, spill.toString());
        assertTrue(
                spill.spillStoreBytes() > 0 && spill.spillLoadBytes() > 0 && spill.stackBytes() > 0, spill.toString());
    }

    @Test
    void assemble_serialisedWgmma_reportsAnAdvisory() {
        Assembly report = PtxAssembler.assemble("w.ptx", """
                .version 8.0
                .target sm_90a
                .address_size 64
                .visible .entry k(.param .u64 out, .param .u64 a, .param .u64 b, .param .u32 n)
                {
                    .reg .b64 o, da, db;
                    .reg .b32 i, m;
                    .reg .f32 d<4>;
                    .reg .pred p, q;
                    ld.param.u64 o, [out];
                    ld.param.u64 da, [a];
                    ld.param.u64 db, [b];
                    ld.param.u32 m, [n];
                    mov.u32 i, 0;
                LOOP:
                    setp.ne.u32 p, i, 0; // the sums are not set before the first product
                    wgmma.fence.sync.aligned;
                    wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {d0, d1, d2, d3}, da, db, p, 1, 1, 0, 0;
                    wgmma.commit_group.sync.aligned;
                    wgmma.wait_group.sync.aligned 0;
                    add.u32 i, i, 1;
                    setp.lt.u32 q, i, m;
                    @q bra LOOP;
                    st.global.v4.f32 [o], {d0, d1, d2, d3};
                    ret;
                }
                """, "sm_90a");
        assertEquals(1, report.advisories().size(), report.log());
        assertTrue(report.advisories().get(0).contains("C7515"), report.log());
    }

    @Test
    void assemble_error_namesItsLine() {
        PtxException bad = refusal(GOOD.replace("bar.sync 0;", "bar.sync 0;\nmov.b33 f, 1;\nadd.f32 f, f, unknown;"));
        int line =
                1 + (int) GOOD.substring(0, GOOD.indexOf("bar.sync 0;")).lines().count();
        assertEquals(line, bad.line());
        assertTrue(
                bad.getMessage().contains(".b33")
                        && bad.getMessage().contains("line " + (line + 1) + ": Unknown symbol 'unknown'"),
                bad.getMessage());
    }

    @Test
    void assemble_unsupportedVersion_isRefused() {
        PtxException newer = refusal(GOOD.replace(".version 8.0", "// a comment\n.version 8.8"));
        assertEquals(2, newer.line());
        assertTrue(
                newer.getMessage().contains(".version 8.8 is not supported")
                        && newer.getMessage().contains("expected .version 8.0"),
                newer.getMessage());
    }

    @Test
    void assemble_unsupportedArchitecture_isRefused() {
        for (String architecture : List.of("sm_foo", "", "sm_100", "--help")) {
            PtxException refused =
                    assertThrows(PtxException.class, () -> PtxAssembler.assemble("k.ptx", GOOD, architecture));
            assertTrue(refused.getMessage().contains("\"" + architecture + "\""), refused.getMessage());
        }
        PtxException older = assertThrows(PtxException.class, () -> PtxAssembler.assemble("k.ptx", GOOD, "sm_70"));
        assertTrue(older.getMessage().contains("SM version specified by .target is higher"), older.getMessage());
    }

    @Test
    void assemble_textThatWouldCrashTheAssembler_isRefused() {
        for (String ptx : List.of(
                "",
                "  \n",
                "// only a comment",
                "hello world {",
                "\0",
                "{}",
                ".version 8.0",
                ".version 8.0\n",
                ".version abc\n.target sm_80\n",
                ".version 8\n.target sm_80\n",
                ".version 8.0\n.target foo\n",
                ".version 8.0\n garbage .target sm_80\n",
                ".version 8.0 \"x",
                ".version 8.0\n.version 8.0\n.target sm_80\n",
                "#line 3\n.version 8.0\n.target sm_80\n",
                ".target sm_80\n.version 8.0\n",
                ".version 8.0\n.target sm_80,\n.foo",
                ".version 8.0\n.target sm_80 /* open",
                ".version 8.0\n.target sm_80 , debug , foo\n",
                ".version 8.0\n.target",
                ".version 8.0\n.target sm_80{",
                "\u00e9",
                GOOD.replace("add", "\0"),
                GOOD + "/*",
                GOOD + "\"")) {
            refusal(ptx);
        }
        PtxAssembler.assemble("k.ptx", GOOD + "// a comment at the end", "sm_80");
        assertEquals(4, refusal("\n\n// x\n.vision 8.0\n.target sm_80\n").line());
        assertEquals(3, refusal(".version 8.0\n\n.tarmac sm_80\n").line());
    }

    @Tag("sampled")
    @Test
    void assemble_mutatedText_isRefusedOrAssembled() {
        int refused = 0;
        List<Integer> seeds = SampledSeeds.of(60, 4);
        for (int seed : seeds) {
            Random random = new Random(20260101 + seed);
            StringBuilder text = new StringBuilder(GOOD);
            for (int damage = random.nextInt(4); damage >= 0; damage--) {
                int at = random.nextInt(text.length());
                switch (random.nextInt(3)) {
                    case 0 -> text.deleteCharAt(at);
                    case 1 -> text.insert(at, (char) (32 + random.nextInt(95)));
                    default -> text.setLength(Math.max(at, 9));
                }
            }
            try {
                PtxAssembler.assemble("k.ptx", text.toString(), "sm_80");
            } catch (PtxException e) {
                refused++;
            }
        }
        assertTrue(refused > seeds.size() / 2, refused + " of " + seeds.size() + " were refused");
    }
}
