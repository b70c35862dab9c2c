package org.contrastive4j.internal.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JCudaPlatformTest {
    @ParameterizedTest
    @CsvSource({
        "Linux,amd64,true",
        "Windows 11,amd64,true",
        "Linux,aarch64,false",
        "Mac OS X,aarch64,false",
        "Mac OS X,x86_64,false"
    })
    void supported_platform_isWhereJCudaHasNatives(String os, String architecture, boolean expected) {
        assertEquals(expected, JCudaPlatform.supported(os, architecture));
    }

    @Test
    void unloadable_withTheStackTracesOfJCuda_namesTheReasonInOneLine() {
        UnsatisfiedLinkError fault = new UnsatisfiedLinkError(
                "Error while loading native library\nStack trace from the attempt to load the library as a file:\n"
                        + "java.lang.UnsatisfiedLinkError: no x in java.library.path\n\tat A.b(A.java:1)\n"
                        + "Stack trace from the attempt to load the library as a resource:\n"
                        + "java.io.IOException: Permission denied\n\tat A.b(A.java:1)\n");
        String message = JCudaPlatform.unloadable("x", fault);
        assertTrue(message.startsWith("x could not be loaded: Permission denied; it is unpacked to "), message);
        assertEquals(1, message.lines().count());
        assertEquals("no x", JCudaPlatform.reason(new NoClassDefFoundError("no x")));
    }
}
