package org.contrastive4j.data;

import java.awt.image.BufferedImage;
import java.io.IOException;

/** Gives the picture of a pair, from a folder or a shard; any thread may ask. */
interface PictureSource {
    /** @throws IOException when it is missing, unreadable or not a picture */
    BufferedImage read(String image) throws IOException;
}
