package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;

/** The elements of a matrix in the packed tile layout, by row and column. */
record HopperOperandTiles(Precision precision, int columnBlocks, short[] bits) {
    static HopperOperandTiles of(Precision precision, DeviceStorage storage, int columns) {
        return new HopperOperandTiles(precision, (columns + 63) / 64, Devices.toShorts(storage));
    }

    static double decode(Precision precision, short bits) {
        if (precision == Precision.BF16) {
            return Float.intBitsToFloat(bits << 16);
        }
        int exponent = bits >> 10 & 31;
        double fraction = bits & 1023;
        double value = exponent == 31
                ? fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN
                : exponent == 0 ? Math.scalb(fraction, -24) : Math.scalb(1024 + fraction, exponent - 25);
        return bits < 0 ? -value : value;
    }

    double at(int row, int column) {
        return decode(precision, number(row, column));
    }

    /** Returns the 16 bits as a whole number. */
    short number(int row, int column) {
        return bits[place(columnBlocks, row, column)];
    }

    static int place(int columnBlocks, int row, int column) {
        int block = row / 128 * columnBlocks + column / 64;
        int chunk = column % 64 / 8 ^ row % 8;
        return block * 8192 + row % 128 * 64 + chunk * 8 + column % 8;
    }

    double[][] rows(int rows, int columns) {
        double[][] values = new double[rows][columns];
        for (int i = 0; i < rows; i++) {
            for (int k = 0; k < columns; k++) {
                values[i][k] = at(i, k);
            }
        }
        return values;
    }
}
