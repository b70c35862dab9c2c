package org.contrastive4j.internal.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FileErrorsTest {
    @Test
    void reason_ofAnyFailure_isInWordsWithoutJavaNames() {
        Map<String, IOException> expected = Map.of(
                "permission denied (/a)", new AccessDeniedException("/a"),
                "no such file or folder (/a)", new NoSuchFileException("/a"),
                "Read-only file system (/a)", new FileSystemException("/a", null, "Read-only file system"),
                "No space left on device", new IOException("No space left on device"),
                "IO", new IOException());
        expected.forEach((text, failure) -> assertEquals(text, FileErrors.reason(failure)));
        for (IOException failure : List.of(new NoSuchFileException(null), new AccessDeniedException(null))) {
            assertEquals(-1, FileErrors.reason(failure).indexOf("null"), failure.toString());
        }
    }
}
