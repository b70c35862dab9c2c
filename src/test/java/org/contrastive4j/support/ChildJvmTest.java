package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChildJvmTest {
    @TempDir
    Path folder;

    @Test
    void problem_fileThatIsNoProgram_returnsTheReason() throws Exception {
        Path file = Files.writeString(folder.resolve("java"), "not a program of this processor");
        assertNotNull(ChildJvm.problem(file));
        String missing = String.valueOf(ChildJvm.problem(folder.resolve("nothing")));
        assertTrue(missing.contains("nothing"), missing);
    }
}
