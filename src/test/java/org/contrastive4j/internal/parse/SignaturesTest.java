package org.contrastive4j.internal.parse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.contrastive4j.device.PtxModule.PtxException;
import org.junit.jupiter.api.Test;

/** Entries and their parameters, and what is none. */
class SignaturesTest {
    @Test
    void of_parameters_areAligned() {
        Map<String, List<Parameter>> entries = Signatures.of("k.ptx", """
                .version 8.0
                .target sm_90a // .entry commented(.param .u32 a)
                .file 1 "a.entry b()//"
                /* .visible .entry alsoCommented(.param .u32 a) */
                .visible .entry first(
                    .param .u8 flag, // a flag, (with parentheses)
                    .param .u64 .ptr .global .align 16 x,
                    .param .f32 a,
                    .param .align 8 .b8 s[16],
                    .param .u16 t[0x3],
                    .param .align 16 .b32 $last_1
                )
                .maxntid 128, 1, 1
                { ret; }
                .entry second { ret; }
                .visible .entry third ( ) { ret; }
                .func helper(.param .u64 x) { ret; }
                """);
        assertEquals(List.of("first", "second", "third"), List.copyOf(entries.keySet()));
        assertEquals(
                List.of(
                        new Parameter("flag", Type.U8, 1, false, 1, 0), new Parameter("x", Type.U64, 1, false, 8, 8),
                        new Parameter("a", Type.F32, 1, false, 4, 16), new Parameter("s", Type.B8, 16, true, 8, 24),
                        new Parameter("t", Type.U16, 3, true, 2, 40),
                                new Parameter("$last_1", Type.B32, 1, false, 16, 48)),
                entries.get("first"));
        assertEquals(List.of(), entries.get("second"));
        assertEquals(List.of(), entries.get("third"));
    }

    @Test
    void of_invalidParameter_namesItsLine() {
        for (String parameter : List.of(
                ".param .u33 x",
                ".param .pred p",
                "u32 x",
                "",
                ".param .b8 s[]",
                ".param .b8 s[0]",
                ".param .align 3 .b8 s[4]",
                ".param .b8 s[4][4]",
                ".param .b8 s[99999999999]",
                ".reg .u32 x")) {
            PtxException refused = assertThrows(
                    PtxException.class,
                    () -> Signatures.of(
                            "bad.ptx",
                            ".version 8.0\n.target sm_80\n.visible .entry k(.param .u64 ok,\n\n  " + parameter
                                    + "\n) { ret; }"),
                    parameter);
            assertEquals("bad.ptx", refused.file());
            assertTrue(refused.line() >= 5, parameter + ": " + refused.getMessage());
        }
    }

    @Test
    void of_unfinishedText_isRefused() {
        assertEquals(
                2,
                assertThrows(PtxException.class, () -> Signatures.of("f", "\n/* no end"))
                        .line());
        assertEquals(
                2,
                assertThrows(PtxException.class, () -> Signatures.of("f", "\n\"no end"))
                        .line());
        assertEquals(
                2,
                assertThrows(PtxException.class, () -> Signatures.of("f", "\n.entry k(.param .u32 a"))
                        .line());
    }

    @Test
    void withoutComments_keepsLinesAndColumns() {
        String text = "a // b\n/* c\n */ \"//d\" e";
        String bare = Signatures.withoutComments("f", text);
        assertEquals("a     \n    \n    \"//d\" e", bare);
    }
}
