package org.contrastive4j.internal.ptx;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxException;
import org.contrastive4j.device.UnsupportedDeviceException;
import org.contrastive4j.internal.parse.Preprocessed;

/** The kernels of this library on one device; each file of {@code kernels/} has one entry of the same name. */
public final class Kernels {
    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"([a-z0-9_]+\\.ptxh)\"$");

    private final PtxDevice device;
    private final UnaryOperator<String> texts;
    private final Map<String, Kernel> kernels = new ConcurrentHashMap<>();

    /** @throws UnsupportedDeviceException for a device below compute capability 8.0; nothing was loaded */
    public Kernels(PtxDevice device) {
        this(device, Kernels::text);
    }

    /** With texts of another origin, by name: how tests put a fault into a kernel. */
    Kernels(PtxDevice device, UnaryOperator<String> texts) {
        UnsupportedDeviceException.refuse(device.facts());
        this.device = device;
        this.texts = texts;
    }

    /** The kernel, assembled at its first use. */
    public Kernel get(String name) {
        return kernels.computeIfAbsent(
                name, key -> device.module(key + ".ptx", texts.apply(key)).kernel(key));
    }

    /**
     * The PTX of a kernel as assemblers take it: included files in their places, macros expanded.
     *
     * @param name of the file, without {@code .ptx}
     * @throws PtxException when there is no such kernel
     */
    public static String text(String name) {
        return expanded(name, source(name + ".ptx"));
    }

    /** The same for a text that is not the library's own; files it includes are. */
    static String expanded(String name, String source) {
        return Preprocessed.text(name + ".ptx", whole(source), null)
                .lines()
                .filter(line -> !line.startsWith("#")) // where a text came from, for C compilers
                .collect(Collectors.joining("\n", "", "\n"));
    }

    /** The text with the files that it includes, and those that they include, in their places; macros are not expanded. */
    static String whole(String source) {
        return INCLUDE.matcher(source).replaceAll(found -> Matcher.quoteReplacement(whole(source(found.group(1)))));
    }

    /** A file of {@code kernels/} as it is. */
    static String source(String file) {
        try (InputStream in = Kernels.class.getResourceAsStream("/kernels/" + file)) {
            if (in == null) {
                throw new PtxException(file, 0, 0, "there is no such kernel in this library");
            }
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
