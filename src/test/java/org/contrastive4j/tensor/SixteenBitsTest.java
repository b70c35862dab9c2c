package org.contrastive4j.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class SixteenBitsTest {
    /** Each of the 65,536 patterns decodes to a number whose bits are the pattern again. */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void encode_ofDecoded_returnsPattern(DType dtype) {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = SixteenBits.decode((short) bits, dtype);
            int expected = value != value ? 0x7FFF : bits;
            assertEquals(expected, SixteenBits.encode(value, dtype) & 0xFFFF, dtype + " " + Integer.toHexString(bits));
        }
    }

    /** A number between two neighbours is rounded to the nearer one, a tie to the even one. */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void encode_betweenNeighbours_roundsToNearestEven(DType dtype) {
        int infinity = dtype == DType.F16 ? 0x7C00 : 0x7F80;
        for (int bits = 0; bits < infinity - 1; bits++) {
            double low = SixteenBits.decode((short) bits, dtype);
            double high = SixteenBits.decode((short) (bits + 1), dtype);
            double middle = (low + high) / 2;
            assertEquals(bits + bits % 2, SixteenBits.encode(middle, dtype), dtype + " middle above " + bits);
            assertEquals(bits, SixteenBits.encode(Math.nextDown(middle), dtype), dtype + " above " + bits);
            assertEquals(bits + 1, SixteenBits.encode(Math.nextUp(middle), dtype), dtype + " below " + (bits + 1));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "F16,1,3C00",
        "F16,-2,C000",
        "F16,65504,7BFF",
        "F16,65519.99,7BFF",
        "F16,65520,7C00",
        "F16,-1e300,FC00",
        "F16,5.960464477539063e-8,1",
        "F16,2.98e-8,0",
        "F16,-0.0,8000",
        "BF16,1,3F80",
        "BF16,-2,C000",
        "BF16,1.00390625,3F80",
        "BF16,1.01171875,3F82",
        "BF16,3.4e38,7F80",
        "BF16,Infinity,7F80",
        "F16,-Infinity,FC00",
        "BF16,1e-300,0",
        "BF16,NaN,7FFF"
    })
    void encode_knownNumbers_haveKnownBits(DType dtype, double value, String bits) {
        assertEquals(Integer.parseInt(bits, 16), SixteenBits.encode(value, dtype) & 0xFFFF);
    }
}
