package org.contrastive4j.device;

import java.util.List;

/** Kernels of one PTX text, loaded until its device is closed. */
public interface PtxModule {
    /**
     * Returns the file name it was loaded under.
     *
     * @return the name, for messages
     */
    String name();

    /**
     * Returns the names of its entries.
     *
     * @return names in the order of the text
     */
    List<String> kernels();

    /**
     * Returns one entry of the module.
     *
     * @param name of the entry
     * @return the kernel, valid until the device is closed
     * @throws PtxException when there is no such entry; the message lists those there are
     */
    Kernel kernel(String name);
}
