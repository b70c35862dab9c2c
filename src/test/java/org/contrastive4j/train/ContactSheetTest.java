package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

/** Sizes and formats of contact sheets. */
class ContactSheetTest {
    private static ContactSheet.Row row(int cells) {
        byte[] black = new byte[3 * ContactSheet.PICTURE * ContactSheet.PICTURE];
        return new ContactSheet.Row(
                "a query",
                Collections.nCopies(
                        cells,
                        new ContactSheet.Cell(black, ContactSheet.PICTURE, "a caption of some words", 0.5, true)));
    }

    /** The width is that of one picture plus seven more cells. */
    @Test
    void sheet_ofSixtyPictures_isAGridOfEightColumns() throws IOException {
        int columns = 8;
        int rows = 8; // 60 pictures in rows of 8
        int one = sheet(1).getWidth();
        int cell = sheet(2).getWidth() - one;
        BufferedImage sheet = sheet(60);
        assertEquals(one + (columns - 1) * cell, sheet.getWidth());
        assertTrue(sheet.getHeight() > rows * ContactSheet.PICTURE, "height " + sheet.getHeight());
        assertTrue(cell > ContactSheet.PICTURE && cell < 2 * ContactSheet.PICTURE, "cell of " + cell + " pixels");
        assertTrue(one < 2 * ContactSheet.PICTURE, "width " + one + " of a sheet of one picture");
    }

    private static BufferedImage sheet(int pictures) throws IOException {
        return ImageIO.read(new ByteArrayInputStream(ContactSheet.png(List.of(row(pictures)))));
    }

    @Test
    void encoded_asJpeg_isAJpeg() {
        int startOfImage = 0xFFD8; // the first marker of every JPEG file
        byte[] jpeg = ContactSheet.encoded(List.of(row(1)), "jpg");
        assertEquals(startOfImage, (jpeg[0] & 255) << 8 | jpeg[1] & 255);
    }
}
