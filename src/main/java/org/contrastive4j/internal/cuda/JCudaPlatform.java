package org.contrastive4j.internal.cuda;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The platforms that JCuda has native libraries for: Linux and Windows on x86_64. */
public final class JCudaPlatform {
    private static final Pattern THROWN = Pattern.compile("(?:Caused by: )?[\\w.$]+(?:Error|Exception): (.+)");

    private JCudaPlatform() {}

    /** Returns whether JCuda has native libraries for the operating system and processor of this JVM. */
    public static boolean supported() {
        return supported(System.getProperty("os.name"), System.getProperty("os.arch"));
    }

    static boolean supported(String os, String architecture) {
        String name = os.toLowerCase(Locale.ROOT);
        return (name.equals("linux") || name.startsWith("windows"))
                && (architecture.equals("amd64") || architecture.equals("x86_64"));
    }

    /**
     * Returns a message that says why a part of JCuda is missing on this platform.
     *
     * @param what such as {@code no CUDA}
     */
    static String problem(String what) {
        return what + " on this platform (" + System.getProperty("os.name") + " " + System.getProperty("os.arch")
                + "): JCuda has native libraries for Linux and Windows on x86_64 only; "
                + "the backend cpu and the simulator run everywhere";
    }

    /**
     * Returns a message that says why a native library of JCuda for this platform does not load.
     *
     * @param what such as {@code the PTX assembler}
     * @param fault what loading them threw
     */
    static String unloadable(String what, Throwable fault) {
        return what + " could not be loaded: " + reason(fault) + "; it is unpacked to "
                + System.getProperty("java.io.tmpdir")
                + ", which must exist, be writable and not mounted noexec: to use another folder, set"
                + " -Djava.io.tmpdir=FOLDER";
    }

    /**
     * Returns one line. JCuda puts the stack traces of its attempts into the message; the last attempt, which unpacks
     * the library, has the reason.
     */
    static String reason(Throwable fault) {
        Throwable root = fault;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        String message = String.valueOf(root.getMessage());
        String last = "";
        for (String line : (Iterable<String>) message.lines()::iterator) {
            Matcher thrown = THROWN.matcher(line.strip());
            last = thrown.matches() ? thrown.group(1) : last;
        }
        return last.isEmpty() ? message.lines().findFirst().orElse(root.toString()) : last;
    }
}
