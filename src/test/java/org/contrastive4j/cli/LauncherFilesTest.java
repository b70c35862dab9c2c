package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class LauncherFilesTest {
    private static final String JAR = "contrastive4j-1.jar";

    @TempDir
    private Path temporary;

    private Path folder;

    @BeforeEach
    void write() throws IOException {
        folder = temporary.resolve("a folder");
        Files.createDirectories(folder.resolve("lib"));
        LauncherFiles.write(folder, JAR);
    }

    @Test
    void write_createsScriptsAndCompletion() throws IOException {
        for (String file : LauncherFiles.files()) {
            assertTrue(Files.size(folder.resolve(file)) > 0, file);
        }
        String completion = Files.readString(folder.resolve("lib/c4j-completion.bash"));
        for (String word :
                new String[] {"complete ", "c4j", "search", "verify-gradcache", "--resume", "--vocabulary"}) {
            assertTrue(completion.contains(word), word);
        }
        String windows = Files.readString(folder.resolve("c4j.cmd"));
        assertTrue(windows.contains("%LIB%\\" + JAR), windows);
        assertEquals(
                windows.lines().count(), windows.chars().filter(c -> c == '\r').count());
    }

    /** The script finds its folder through a symbolic link from another folder, and passes arguments with spaces. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void script_throughASymbolicLink_runsTheCommand() throws IOException, InterruptedException {
        jar();
        Path link = Files.createSymbolicLink(temporary.resolve("link"), Path.of("a folder", LauncherFiles.NAME));
        Run devices = run(link, "devices");
        assertEquals(0, devices.code, devices.output);
        assertTrue(devices.output.contains("backends"), devices.output);
        assertFalse(devices.output.toLowerCase(java.util.Locale.ROOT).contains("warning"), devices.output);
        Run refused = run(link, "no such command");
        assertEquals(Main.REFUSED, refused.code, refused.output);
        assertTrue(refused.output.contains("no such command"), refused.output);
    }

    private record Run(int code, String output) {}

    private Run run(Path script, String argument) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(script.toString(), argument)
                .directory(folder.resolve("lib").toFile())
                .redirectErrorStream(true);
        builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Run(process.waitFor(), output);
    }

    /** Writes a jar with only a manifest, which names the main class and the class path of this test. */
    private void jar() throws IOException {
        Manifest manifest = new Manifest();
        Attributes attributes = manifest.getMainAttributes();
        attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
        attributes.put(Attributes.Name.MAIN_CLASS, Main.class.getName());
        attributes.putValue("Enable-Native-Access", "ALL-UNNAMED");
        attributes.put(
                Attributes.Name.CLASS_PATH,
                Arrays.stream(System.getProperty("java.class.path").split(System.getProperty("path.separator")))
                        .map(entry -> Path.of(entry).toUri().toString())
                        .collect(Collectors.joining(" ")));
        try (OutputStream file = Files.newOutputStream(folder.resolve("lib").resolve(JAR))) {
            new JarOutputStream(file, manifest).close();
        }
    }
}
