package org.contrastive4j.internal.cuda;

import java.util.Locale;

/** The platforms that JCuda has native libraries for: Linux and Windows on x86_64. */
public final class JCudaPlatform {
    private JCudaPlatform() {}

    /** Whether JCuda has native libraries for the operating system and processor of this JVM. */
    public static boolean supported() {
        return supported(System.getProperty("os.name"), System.getProperty("os.arch"));
    }

    static boolean supported(String os, String architecture) {
        String name = os.toLowerCase(Locale.ROOT);
        return (name.equals("linux") || name.startsWith("windows"))
                && (architecture.equals("amd64") || architecture.equals("x86_64"));
    }

    /**
     * Explains why something of JCuda is missing here.
     *
     * @param what such as {@code no CUDA}
     */
    static String problem(String what) {
        return what + " on this platform (" + System.getProperty("os.name") + " " + System.getProperty("os.arch")
                + "): JCuda has native libraries for Linux and Windows on x86_64 only; "
                + "the backend cpu and the simulator run everywhere";
    }

    /** Explains why natives of JCuda that exist for this platform do not load. */
    static String unloadable(String what) {
        return what + " could not be loaded (the cause says why); it is unpacked to "
                + System.getProperty("java.io.tmpdir")
                + ", which must be writable and not mounted noexec: to use another folder, set -Djava.io.tmpdir=FOLDER";
    }
}
