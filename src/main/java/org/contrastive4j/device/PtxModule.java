package org.contrastive4j.device;

import java.util.List;

/** Kernels of one PTX text, loaded until its device is closed. */
public interface PtxModule {
    /** Returns the file name it was loaded under. */
    String name();

    /** Returns the names of its entries, in the order of the text. */
    List<String> kernels();

    /** @throws PtxException when there is no such entry; the message lists those there are */
    Kernel kernel(String name);
}
