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

    @Test
    void sheet_ofSixtyPictures_isAGridOfEightColumns() throws IOException {
        BufferedImage sheet = ImageIO.read(new ByteArrayInputStream(ContactSheet.png(List.of(row(60)))));
        assertTrue(sheet.getWidth() < 9 * 150, "width " + sheet.getWidth());
        assertTrue(sheet.getHeight() > 8 * ContactSheet.PICTURE, "height " + sheet.getHeight());
        BufferedImage one = ImageIO.read(new ByteArrayInputStream(ContactSheet.png(List.of(row(1)))));
        assertTrue(one.getWidth() < 2 * ContactSheet.PICTURE, "width " + one.getWidth());
    }

    @Test
    void encoded_asJpeg_isAJpeg() {
        byte[] jpeg = ContactSheet.encoded(List.of(row(1)), "jpg");
        assertEquals(0xFFD8, (jpeg[0] & 255) << 8 | jpeg[1] & 255);
    }
}
