package org.contrastive4j.internal.files;

import java.io.EOFException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.ReadOnlyFileSystemException;

/** Explains exceptions of file operations in words. */
public final class FileErrors {
    private FileErrors() {}

    /**
     * Returns the reason of a failure for an error message. The message of many file system exceptions is only the
     * path, and the reason is the name of the class, such as {@code AccessDeniedException}.
     *
     * @param failure of a file operation
     */
    public static String reason(Throwable failure) {
        if (failure instanceof AccessDeniedException) {
            return "permission denied" + path(failure);
        }
        if (failure instanceof NoSuchFileException) {
            return "no such file or folder" + path(failure);
        }
        if (failure instanceof FileAlreadyExistsException) {
            return "a file of this name exists" + path(failure);
        }
        if (failure instanceof NotDirectoryException) {
            return "not a folder" + path(failure);
        }
        if (failure instanceof DirectoryNotEmptyException) {
            return "the folder is not empty" + path(failure);
        }
        if (failure instanceof FileSystemLoopException) {
            return "symbolic links form a loop" + path(failure);
        }
        if (failure instanceof ReadOnlyFileSystemException) {
            return "the file system is read-only";
        }
        if (failure instanceof EOFException) {
            return "the file ends early";
        }
        if (failure instanceof CharacterCodingException) {
            return "the file is not UTF-8 text";
        }
        if (failure instanceof FileSystemException known && known.getReason() != null) {
            return known.getReason() + path(failure);
        }
        String message = failure.getMessage();
        return message != null && !message.isBlank()
                ? message
                : failure.getClass().getSimpleName().replaceAll("(Exception|Error)$", "");
    }

    private static String path(Throwable failure) {
        String file = failure instanceof FileSystemException known ? known.getFile() : null;
        return file == null ? "" : " (" + file + ")";
    }
}
