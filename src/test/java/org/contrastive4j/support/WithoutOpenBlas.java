package org.contrastive4j.support;

import org.contrastive4j.internal.memory.MissingNativeLibraryException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.opentest4j.TestAbortedException;

/**
 * Where OpenBLAS was left out, as in the bundle for a GPU host, a test that wants the {@code cpu} backend is aborted
 * instead of failed. Registered by itself where JUnit is told to look for extensions, which builds do not do.
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
