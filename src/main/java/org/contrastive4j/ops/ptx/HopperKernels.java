package org.contrastive4j.ops.ptx;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.parse.Preprocessed;

/** The sm_90a kernels by name: text with its included files in place and macros expanded. */
public final class HopperKernels {
    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"([a-z0-9_]+\\.ptxh)\"$");

    private HopperKernels() {}

    /**
     * PTX as an assembler takes it.
     *
     * @param name of file and entry, without {@code .ptx}
     * @throws IllegalArgumentException when there is no such kernel
     */
    public static String text(String name) {
        return expanded(name, source(name + ".ptx"));
    }

    /** The same of a changed text. */
    static String expanded(String name, String source) {
        return Preprocessed.text(name + ".ptx", source, null).replaceAll("(?m)^#.*$", "");
    }

    /** The kernel, ready to launch on that device. */
    static Kernel on(PtxDevice device, String name) {
        return device.module(name + ".ptx", text(name)).kernel(name);
    }

    /**
     * A file of the kernels' folder with its included files in place of the lines that name them; macros are not
     * expanded.
     */
    static String source(String file) {
        try (InputStream in = HopperKernels.class.getResourceAsStream("/kernels/" + file)) {
            if (in == null) {
                throw new IllegalArgumentException("there is no kernel file " + file);
            }
            String text = new String(in.readAllBytes(), StandardCharsets.US_ASCII);
            return INCLUDE.matcher(text).replaceAll(found -> Matcher.quoteReplacement(source(found.group(1))));
        } catch (IOException e) {
            throw new IllegalStateException("kernel file " + file + " could not be read", e);
        }
    }
}
