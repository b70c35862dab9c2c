package org.contrastive4j.internal.memory;

/** A native library that the operation needs is not on the class path for this platform, or cannot be loaded. */
public final class MissingNativeLibraryException extends RuntimeException {
    private MissingNativeLibraryException(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * Returns the exception to throw instead of an {@code UnsatisfiedLinkError}.
     *
     * @param library such as {@code OpenBLAS}
     * @param artifact the artifact whose classifier selects the natives, such as {@code org.bytedeco:openblas}
     * @param cause what the loader reported
     * @return an exception that names the platform and the artifact to add
     */
    public static MissingNativeLibraryException of(String library, String artifact, LinkageError cause) {
        return new MissingNativeLibraryException(
                "the native library of " + library + " could not be loaded on " + System.getProperty("os.name") + " "
                        + System.getProperty("os.arch") + ": " + reason(cause) + "; expected " + artifact
                        + " with the classifier of this platform, such as linux-x86_64, on the class path",
                cause);
    }

    /**
     * Returns the exception to throw instead of an {@code UnsatisfiedLinkError} when the library is on the class path.
     *
     * @param library such as {@code OpenBLAS}
     * @param folder the folder that the library is unpacked to
     * @param cause what the loader reported
     * @return an exception that names the folder and the properties that choose another one
     */
    public static MissingNativeLibraryException unpackedTo(String library, String folder, LinkageError cause) {
        return new MissingNativeLibraryException(
                "the native library of " + library + " could not be loaded on " + System.getProperty("os.name") + " "
                        + System.getProperty("os.arch") + ": " + reason(cause) + "; it is unpacked to " + folder
                        + ", which must exist, be writable and not mounted noexec: to use another folder, set"
                        + " -Dorg.bytedeco.javacpp.cachedir=FOLDER and -Djava.io.tmpdir=FOLDER",
                cause);
    }

    private static String reason(LinkageError cause) {
        Throwable root = cause;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return String.valueOf(root.getMessage());
    }
}
