package org.contrastive4j.internal.memory;

import java.io.IOException;
import org.bytedeco.javacpp.Loader;

/** Explains why a native library of JavaCPP could not be loaded. */
public final class NativeLibraries {
    private NativeLibraries() {}

    /**
     * Returns the exception to throw instead of an {@code UnsatisfiedLinkError}: the natives of this platform are not
     * on the class path, or they are and the folder that JavaCPP unpacks them to does not allow to load them.
     *
     * @param library such as {@code OpenBLAS}
     * @param artifact such as {@code org.bytedeco:openblas}
     * @param declaring the class whose native methods are missing
     * @param fault what the first call of such a method threw
     */
    public static MissingNativeLibraryException missing(
            String library, String artifact, Class<?> declaring, LinkageError fault) {
        LinkageError reason = reason(declaring, fault);
        String folder = artifact.replaceFirst(".*:", "/org/bytedeco/") + "/" + Loader.getPlatform();
        return declaring.getResource(folder) == null
                ? MissingNativeLibraryException.of(library, artifact, reason)
                : MissingNativeLibraryException.unpackedTo(library, cache(), reason);
    }

    /** JavaCPP drops the loader's error where it first loads a class; another attempt repeats it. */
    private static LinkageError reason(Class<?> declaring, LinkageError fault) {
        try {
            Loader.load(declaring);
            return fault;
        } catch (LinkageError reason) {
            return reason;
        }
    }

    private static String cache() {
        try {
            return Loader.getCacheDir().toString();
        } catch (IOException e) {
            return "a folder that cannot be made (" + e.getMessage() + ")";
        }
    }
}
