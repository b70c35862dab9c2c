package org.contrastive4j.internal.sim;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Texts that nvcc made of the CUDA sources in {@code ptx/cuda}. */
final class CudaProgram {
    private CudaProgram() {}

    static String text(String name) {
        try (InputStream file = CudaProgram.class.getResourceAsStream("/ptx/cuda/" + name + ".ptx")) {
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static SimDevice.Source source(String name) {
        return new SimDevice.Source(name + ".ptx", text(name));
    }
}
