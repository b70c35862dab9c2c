package org.contrastive4j.support;

import org.contrastive4j.internal.memory.MissingNativeLibraryException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.opentest4j.TestAbortedException;

/**
 * Aborts a test that requires the {@code cpu} backend where OpenBLAS is absent, as in the bundle for a GPU host. It is
 * active only where JUnit detects extensions automatically, which the build does not enable.
 */
public final class WithoutOpenBlas implements TestExecutionExceptionHandler {
    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable thrown) throws Throwable {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof MissingNativeLibraryException
                    && String.valueOf(cause.getMessage()).contains("OpenBLAS")) {
                throw new TestAbortedException("OpenBLAS is not here: " + cause);
            }
        }
        throw thrown;
    }
}
