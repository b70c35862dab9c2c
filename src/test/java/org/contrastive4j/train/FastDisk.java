package org.contrastive4j.train;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Does not wait for the disk: for tests that save often and outlive no power cut. */
enum FastDisk implements Disk {
    INSTANCE;

    @Override
    public OutputStream create(Path file) throws IOException {
        return Files.newOutputStream(file);
    }

    @Override
    public void force(Path path) {}
}
