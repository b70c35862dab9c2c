package org.contrastive4j.internal.parse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.contrastive4j.device.PtxModule.PtxException;
import org.junit.jupiter.api.Test;

class InstanceTest {
    private static final String HEADER = """
            // COMPUTES   y = a + b
            // INSTANCES  add_f32   ELEMENT=f32
            //            add_bf16  ELEMENT=bf16 STORED=1
            // LAUNCH     block 256
            // OCCUPANCY  [ELEMENT=f32] 8 blocks,
            //            or so
            //            [ELEMENT=bf16|f16] 16 blocks
            // SYNC       none
            """;
    private static final String TEXT = HEADER + "\n// not the header\n.version 8.0\n";

    @Test
    void listed_readsEntriesAndMacrosInOrder() {
        List<Instance> instances = Instance.listed("add.ptx", TEXT);
        assertEquals(
                List.of("add_f32", "add_bf16"),
                instances.stream().map(Instance::entry).toList());
        assertEquals(
                Map.of("NAME", "add_f32", "ELEMENT", "f32"), instances.get(0).macros());
        assertEquals(
                Map.of("NAME", "add_bf16", "ELEMENT", "bf16", "STORED", "1"),
                instances.get(1).macros());
        assertEquals("add_bf16: -D ELEMENT=bf16 -D STORED=1", instances.get(1).toString());
        assertEquals(List.of(), Instance.listed("none.ptx", "// COMPUTES   nothing\n.version 8.0\n"));
    }

    @Test
    void listed_namesTheLineThatIsNotAnInstance() {
        PtxException refused = assertThrows(
                PtxException.class, () -> Instance.listed("add.ptx", TEXT.replace("ELEMENT=bf16 ", "ELEMENT bf16 ")));
        assertEquals("add.ptx", refused.file());
        assertEquals(3, refused.line());
        assertTrue(refused.getMessage().contains("add_bf16  ELEMENT bf16"), refused.getMessage());
    }

    @Test
    void has_comparesTheGivenMacrosOnly() {
        Instance bf16 = Instance.listed("add.ptx", TEXT).get(1);
        assertTrue(bf16.has(Map.of()));
        assertTrue(bf16.has(Map.of("ELEMENT", "bf16")));
        assertTrue(bf16.has(Map.of("NAME", "add_bf16", "STORED", "1")));
        assertFalse(bf16.has(Map.of("ELEMENT", "f32")));
        assertFalse(bf16.has(Map.of("OTHER", "1")));
    }

    @Test
    void header_leavesOutParagraphsWhoseConditionIsNotMet() {
        List<Instance> instances = Instance.listed("add.ptx", TEXT);
        assertEquals(
                HEADER.replace("//            [ELEMENT=bf16|f16] 16 blocks\n", ""),
                instances.get(0).header(TEXT));
        assertEquals(
                HEADER.replace("  [ELEMENT=f32] 8 blocks,\n//            or so\n//            [", "  ["),
                instances.get(1).header(TEXT));
    }
}
