package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Conversion between decimal text and bits of elements. */
class ElementTest {
    private static String text(Element element, long bits) {
        ByteBuffer bytes = ByteBuffer.allocate(8);
        element.put(bytes, bits);
        assertEquals(element.bytes(), bytes.position());
        return element.next(bytes.flip());
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void parse_ofEveryFormatted16BitFloat_returnsItsBits(Element element) {
        int infinity = element == Element.F16 ? 0x7C00 : 0x7F80;
        for (int bits = 0; bits < 1 << 16; bits++) {
            String text = text(element, bits);
            if ((bits & 0x7FFF) > infinity) {
                assertEquals("NaN", text);
            } else {
                assertEquals(bits, element.parse(text), text);
            }
        }
    }

    @Test
    void parse_roundsToNearestTiesToEven() {
        assertEquals(0x3C00, Element.F16.parse("1"));
        assertEquals(0x7BFF, Element.F16.parse("65519.99"));
        assertEquals(0x7C00, Element.F16.parse("65520"));
        assertEquals(0xFC00, Element.F16.parse("-1e300"));
        assertEquals(0, Element.F16.parse("2.98023223876953125e-8")); // half the smallest
        assertEquals(1, Element.F16.parse("2.9802322387696e-8"));
        assertEquals(2, Element.F16.parse("8.94069671630859375e-8")); // 1.5 times the smallest
        assertEquals(0x3F80, Element.BF16.parse("1.00390625"));
        assertEquals(0x3F82, Element.BF16.parse("1.01171875"));
        assertEquals(0x7F80, Element.BF16.parse("3.4e38"));
        assertEquals(0x7F7F, Element.BF16.parse("3.39e38"));
    }

    @Test
    void parse_ofIntegers_checksTheRange() {
        assertEquals("4294967295", text(Element.U32, Element.U32.parse("0xffffffff")));
        assertEquals("-2147483648", text(Element.I32, Element.I32.parse("-2147483648")));
        assertEquals("255", text(Element.U8, Element.U8.parse("255")));
        assertEquals("-9223372036854775808", text(Element.I64, Element.I64.parse("-9223372036854775808")));
        assertThrows(IllegalArgumentException.class, () -> Element.I32.parse("2147483648"));
        assertThrows(IllegalArgumentException.class, () -> Element.U8.parse("-1"));
        assertThrows(IllegalArgumentException.class, () -> Element.I64.parse("9223372036854775808"));
        assertEquals("44", text(Element.U8, Element.U8.count(300)));
    }

    @ParameterizedTest
    @EnumSource
    void random_isInItsRange(Element element) {
        SplittableRandom random = new SplittableRandom(7);
        double least = Double.MAX_VALUE;
        double most = -Double.MAX_VALUE;
        for (int i = 0; i < 2000; i++) {
            double value = Double.parseDouble(text(element, element.random(random)));
            least = Math.min(least, value);
            most = Math.max(most, value);
        }
        boolean integers = element.count(1) == 1;
        assertTrue(
                integers ? least == 0 && most == 99 : least >= -1 && least < -0.9 && most > 0.9 && most <= 1,
                least + " to " + most);
    }
}
