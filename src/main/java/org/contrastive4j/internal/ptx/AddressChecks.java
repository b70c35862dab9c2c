package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.DeviceException.LaunchException;

/**
 * Checks the address ranges of one call: every range is present and aligned, and a range that is written overlaps no
 * other.
 */
final class AddressChecks {
    /** Bytes of equal pieces, {@code step} bytes apart; contiguous memory is one piece. */
    private record Range(String name, long address, long bytes, long piece, long step, boolean written) {
        boolean overlaps(Range other) {
            if (address >= other.address + other.bytes || other.address >= address + bytes) {
                return false;
            }
            if (step != other.step || piece >= bytes || other.piece >= other.bytes) {
                return true;
            }
            long distance =
                    Math.floorMod(other.address - address, step); // pieces of one may lie between those of another
            return distance < piece || step - distance < other.piece;
        }
    }

    private final String operation;
    private final List<Range> ranges = new ArrayList<>();

    AddressChecks(String operation) {
        this.operation = operation;
    }

    AddressChecks read(String name, long address, long bytes, int alignment) {
        return add(new Range(name, address, bytes, bytes, bytes, false), alignment);
    }

    AddressChecks written(String name, long address, long bytes, int alignment) {
        return add(new Range(name, address, bytes, bytes, bytes, true), alignment);
    }

    /**
     * Checks a matrix whose rows are {@code strideBytes} apart; two such matrices may share memory as long as their
     * rows do not.
     */
    AddressChecks rows(
            String name, long address, int count, long rowBytes, long strideBytes, int alignment, boolean written) {
        long bytes = (count - 1) * strideBytes + rowBytes;
        return add(new Range(name, address, bytes, rowBytes, strideBytes, written), alignment);
    }

    /** Checks an input like {@link #read} unless its address is 0. */
    AddressChecks readIfAny(String name, long address, long bytes, int alignment) {
        return address == 0 ? this : read(name, address, bytes, alignment);
    }

    /** Checks an output like {@link #written} unless its address is 0. */
    AddressChecks writtenIfAny(String name, long address, long bytes, int alignment) {
        return address == 0 ? this : written(name, address, bytes, alignment);
    }

    private AddressChecks add(Range range, int alignment) {
        if (range.address == 0) {
            throw new LaunchException(operation + ": the address of " + range.name + " is 0, expected " + range.bytes
                    + " bytes of device memory");
        }
        if (range.address % alignment != 0) {
            throw new LaunchException(operation + ": the address of " + range.name + " is 0x"
                    + Long.toHexString(range.address) + ", expected a multiple of " + alignment);
        }
        for (Range other : ranges) {
            if ((range.written || other.written) && range.overlaps(other)) {
                throw new LaunchException(operation + ": " + range.name + " and " + other.name
                        + " share memory, and one of them is written; give each its own");
            }
        }
        ranges.add(range);
        return this;
    }
}
