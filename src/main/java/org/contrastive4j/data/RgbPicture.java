package org.contrastive4j.data;

/**
 * A decoded picture on white.
 *
 * @param rgb width x height x 3 unsigned bytes, row by row
 */
record RgbPicture(int width, int height, byte[] rgb) {
    /** Returns a rectangle of the picture. */
    RgbPicture region(int left, int top, int regionWidth, int regionHeight) {
        byte[] part = new byte[3 * regionWidth * regionHeight];
        for (int y = 0; y < regionHeight; y++) {
            System.arraycopy(rgb, 3 * ((top + y) * width + left), part, 3 * y * regionWidth, 3 * regionWidth);
        }
        return new RgbPicture(regionWidth, regionHeight, part);
    }

    /**
     * Returns the picture as it is meant to be seen.
     *
     * @param orientation of EXIF, 1 to 8; others leave the picture as it is
     */
    RgbPicture upright(int orientation) {
        if (orientation < 2 || orientation > 8) {
            return this;
        }
        boolean swapped = orientation >= 5;
        int w = swapped ? height : width;
        int h = swapped ? width : height;
        byte[] turned = new byte[rgb.length];
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                int u = swapped ? y : x; // in the stored picture, before mirroring
                int v = swapped ? x : y;
                boolean mirrorsX = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
                boolean mirrorsY = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
                int from = 3 * ((mirrorsY ? height - 1 - v : v) * width + (mirrorsX ? width - 1 - u : u));
                System.arraycopy(rgb, from, turned, 3 * (y * w + x), 3);
            }
        }
        return new RgbPicture(w, h, turned);
    }
}
