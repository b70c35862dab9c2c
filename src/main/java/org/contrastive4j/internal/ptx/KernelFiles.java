package org.contrastive4j.internal.ptx;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Instance;
import org.contrastive4j.internal.parse.Preprocessed;

/**
 * Finds the files of {@code kernels/}, which are resources of this library. A file {@code *.ptx} holds one operation
 * and lists the entries that the preprocessor makes of it. The lists are read once, to find the file of an entry.
 */
final class KernelFiles {
    private static final String ROOT = "kernels/";
    /** A file that is always there: the others are listed from where it was loaded. */
    static final String ANCHOR = ROOT + "lib/types.ptxh";

    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"([a-z0-9_./]+\\.ptxh)\"$");

    /** @param path of the file, below {@code kernels/} */
    record Located(String path, Instance instance) {}

    private KernelFiles() {}

    /** Read at the first use of a kernel. */
    private static final class Index {
        static final SortedMap<String, Located> ENTRIES = entries();

        private static SortedMap<String, Located> entries() {
            SortedMap<String, Located> entries = new TreeMap<>();
            URL anchor = KernelFiles.class.getResource("/" + ANCHOR);
            if (anchor == null) {
                throw new PtxException(ANCHOR, 0, 0, "the kernels are not among the resources of this library");
            }
            for (String path : paths(anchor)) {
                for (Instance instance : Instance.listed(path, source(path))) {
                    Located other = entries.put(instance.entry(), new Located(path, instance));
                    if (other != null) {
                        throw new PtxException(path, 0, 0, "entry " + instance.entry() + " is also in " + other.path());
                    }
                }
            }
            return entries;
        }
    }

    /** Every entry of this library with the file it is in, by name. */
    static Map<String, Located> entries() {
        return Index.ENTRIES;
    }

    /** @throws PtxException when no file lists this entry */
    static Located find(String entry) {
        Located found = Index.ENTRIES.get(entry);
        if (found == null) {
            throw new PtxException(entry + ".ptx", 0, 0, "no file of kernels/ lists an entry of this name");
        }
        return found;
    }

    /** The comment that describes an entry, at the beginning of its file. */
    static String header(String entry) {
        Located found = find(entry);
        return found.instance().header(source(found.path()));
    }

    /** The text of a file, with the files that it includes in their places; macros are not expanded. */
    static String whole(String path) {
        return INCLUDE.matcher(source(path))
                .replaceAll(found -> Matcher.quoteReplacement(
                        whole(URI.create(path).resolve(found.group(1)).toString())));
    }

    /** The PTX of an entry, made from a text as {@link #whole} returns it: macros expanded, line markers removed. */
    static String expanded(String entry, String whole) {
        return Preprocessed.text(
                        entry + ".ptx", whole, null, find(entry).instance().macros())
                .lines()
                .filter(line -> !line.startsWith("#")) // line markers name files that are not there at run time
                .collect(Collectors.joining("\n", "", "\n"));
    }

    /** A file as it is. */
    static String source(String path) {
        try (InputStream in = KernelFiles.class.getResourceAsStream("/" + ROOT + path)) {
            if (in == null) {
                throw new PtxException(path, 0, 0, "there is no such file in kernels/");
            }
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Paths of all files {@code *.ptx} next to this one, in a jar, a folder of classes or a run-time image. */
    static List<String> paths(URL anchor) {
        try {
            return "jar".equals(anchor.getProtocol()) ? pathsInJar(anchor) : pathsInFolder(Path.of(anchor.toURI()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException e) {
            throw new IllegalStateException(anchor.toString(), e);
        }
    }

    private static List<String> pathsInJar(URL anchor) throws IOException {
        JarURLConnection jar = (JarURLConnection) anchor.openConnection();
        String root = jar.getEntryName().substring(0, jar.getEntryName().length() - ANCHOR.length()) + ROOT;
        return jar.getJarFile().stream()
                .map(ZipEntry::getName)
                .filter(name -> name.startsWith(root) && name.endsWith(".ptx"))
                .map(name -> name.substring(root.length()))
                .sorted()
                .toList();
    }

    private static Path parent(Path path) {
        return Objects.requireNonNull(path.getParent(), "the anchor lies two folders deep");
    }

    private static List<String> pathsInFolder(Path anchor) throws IOException {
        Path root = parent(parent(anchor));
        try (Stream<Path> files = Files.walk(root)) {
            return files.map(file -> root.relativize(file).toString().replace('\\', '/'))
                    .filter(name -> name.endsWith(".ptx"))
                    .sorted()
                    .toList();
        }
    }
}
