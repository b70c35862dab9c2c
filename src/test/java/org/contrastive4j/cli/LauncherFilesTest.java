package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Assumptions;
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

    /** Without --data, train looks into the working folder and into the project that holds the launcher. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void script_fromAnotherFolder_findsTheDefaultDataOfItsProject() throws IOException, InterruptedException {
        jar();
        Path script = folder.resolve(LauncherFiles.NAME);
        Run without = run(script, "train", "--device", "cpu");
        assertEquals(Main.REFUSED, without.code, without.output);
        String place = "not in the project " + temporary;
        assertTrue(without.output.contains(place) && without.output.contains("--data"), without.output);
        Path data = Files.createDirectories(temporary.resolve("test-data/emoji"));
        Run with = run(script, "train", "--device", "cpu");
        assertTrue(with.output.contains(data + " holds no pairs"), with.output);
    }

    /** JDK 17 decodes arguments by the locale, and C has only ASCII. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void script_inTheCLocale_keepsLettersBeyondAscii() throws IOException, InterruptedException {
        Assumptions.assumeTrue(
                "UTF-8".equals(System.getProperty("sun.jnu.encoding")), "this JVM cannot pass the letter");
        jar();
        Run refused = run(folder.resolve(LauncherFiles.NAME), "\u00c4rger");
        assertTrue(refused.output.contains("unknown command \u00c4rger"), refused.output);
    }

    private Run run(Path script, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(script.toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.resolve("lib").toFile())
                .redirectErrorStream(true);
        builder.environment().put("LC_ALL", "C");
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
