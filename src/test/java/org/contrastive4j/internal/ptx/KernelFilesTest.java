package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.contrastive4j.device.PtxModule.PtxException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelFilesTest {
    private static final Path FOLDER = Path.of("kernels");

    private static List<String> files() throws IOException {
        try (Stream<Path> files = Files.walk(FOLDER)) {
            return files.map(file -> FOLDER.relativize(file).toString().replace('\\', '/'))
                    .filter(file -> file.matches(".*\\.ptxh?"))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void entries_everyFile_areListed() throws IOException {
        List<String> kernels =
                files().stream().filter(file -> file.endsWith(".ptx")).toList();
        assertEquals(
                kernels,
                KernelFiles.entries().values().stream()
                        .map(KernelFiles.Located::path)
                        .distinct()
                        .sorted()
                        .toList());
        List<String> listed = Files.readAllLines(FOLDER.resolve("README.md")).stream()
                .filter(line -> line.startsWith("| ["))
                .flatMap(line -> Pattern.compile("`(\\w+)`")
                        .matcher(line.split("\\|")[2])
                        .results()
                        .map(match -> match.group(1)))
                .sorted()
                .toList();
        assertEquals(KernelFiles.entries().keySet().stream().sorted().toList(), listed);
    }

    /** A jar lists its entries differently from a folder, and not every jar has folder entries. */
    @Test
    void paths_ofAJar_areThoseOfTheFolder(@TempDir Path temporary) throws IOException {
        Path jar = temporary.resolve("library with blank.jar");
        List<String> files = files();
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(jar))) {
            for (String file : files) {
                zip.putNextEntry(new ZipEntry("kernels/" + file));
                Files.copy(FOLDER.resolve(file), zip);
            }
        }
        URL anchor = new URL("jar:" + jar.toUri() + "!/" + KernelFiles.ANCHOR);
        assertEquals(files.stream().filter(file -> file.endsWith(".ptx")).toList(), KernelFiles.paths(anchor));
    }

    @Test
    void includes_everyFile_isUsed() throws IOException {
        String all = String.join("\n", files().stream().map(KernelFiles::source).toList());
        for (String file : files()) {
            String name = file.substring(file.lastIndexOf('/') + 1);
            assertTrue(file.endsWith(".ptx") || all.contains(name + "\""), file + " is not included anywhere");
        }
    }

    @Test
    void find_ofAnUnknownEntry_isRefused() {
        PtxException refused = assertThrows(PtxException.class, () -> KernelFiles.find("no_such_kernel"));
        assertTrue(refused.getMessage().contains("no_such_kernel"), refused.getMessage());
    }
}
