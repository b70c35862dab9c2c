package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The messages that the page about troubleshooting explains are those of the source. */
class TroubleshootingTest {
    private static final Pattern HEADING = Pattern.compile("(?m)^### `([^`]+)`$");
    private static final Pattern JOINED_LITERALS = Pattern.compile("\"\\s*\\+\\s*\"");

    @Test
    void headings_areMessagesOfTheSource() throws IOException {
        String page = Files.readString(Path.of("src/site/markdown/troubleshooting.md"));
        String own = page.substring(0, page.indexOf("\n## Messages of Java"));
        List<String> messages =
                HEADING.matcher(own).results().map(heading -> heading.group(1)).toList();
        assertTrue(messages.size() > 5, messages::toString);
        StringBuilder source = new StringBuilder();
        try (Stream<Path> files = Files.walk(Path.of("src/main/java"))) {
            for (Path file :
                    files.filter(file -> file.toString().endsWith(".java")).toList()) {
                source.append(JOINED_LITERALS.matcher(Files.readString(file)).replaceAll(""));
            }
        }
        String noPlatform = " on this platform"; // appended to "no CUDA" and "no PTX assembler"
        assertEquals(
                List.of(),
                messages.stream()
                        .filter(message -> Stream.of(message.split(Pattern.quote(noPlatform)))
                                .anyMatch(part -> source.indexOf(part) < 0))
                        .toList(),
                "messages that no source contains");
    }
}
