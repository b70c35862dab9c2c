package org.contrastive4j.internal.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

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
}
