package org.contrastive4j.internal.parse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Texts that the simulator does not load ({@code ptx/refused}); the first line of each says where and why:
 * {@code // REFUSED: line 7: words of the message}, line 0 where it is the text as a whole.
 */
class RefusedTest {
    private static final Pattern EXPECTED = Pattern.compile("// REFUSED: line (\\d+): (.+)");

    static Stream<String> files() throws IOException, URISyntaxException {
        try (Stream<Path> files = Files.list(folder())) {
            return files.map(file -> file.getFileName().toString()).sorted().toList().stream();
        }
    }

    private static Path folder() throws URISyntaxException {
        return Path.of(RefusedTest.class.getResource("/ptx/refused").toURI());
    }

    @ParameterizedTest
    @MethodSource("files")
    void invalidFile_isRefusedWithLineAndReason(String name) throws IOException, URISyntaxException {
        String text = Files.readString(folder().resolve(name));
        Matcher expected = EXPECTED.matcher(text.lines().findFirst().orElse(""));
        assertTrue(expected.matches(), "the first line of " + name + " does not say what is expected");
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            PtxException refused = assertThrows(PtxException.class, () -> device.module(name, text));
            assertTrue(refused.getMessage().contains(expected.group(2)), refused.getMessage());
            assertEquals(Integer.parseInt(expected.group(1)), refused.line(), refused.getMessage());
            assertEquals(name, refused.file());
            assertTrue(refused.getMessage().startsWith(name + ":"), refused.getMessage());
        }
    }
}
