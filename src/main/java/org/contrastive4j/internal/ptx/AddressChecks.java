package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.LaunchException;

/** Ranges of device memory of one call: each is there and aligned, and what is written overlaps nothing else. */
final class AddressChecks {
    private record Range(String name, long address, long bytes, boolean written) {
        boolean overlaps(Range other) {
            return address < other.address + other.bytes && other.address < address + bytes;
        }
    }

    private final String operation;
    private final List<Range> ranges = new ArrayList<>();

    AddressChecks(String operation) {
        this.operation = operation;
    }

    AddressChecks read(String name, long address, long bytes, int alignment) {
        return add(new Range(name, address, bytes, false), alignment);
    }

    AddressChecks written(String name, long address, long bytes, int alignment) {
        return add(new Range(name, address, bytes, true), alignment);
    }

    /** Like {@link #read} where there is an address; 0 is none. */
    AddressChecks readIfAny(String name, long address, long bytes, int alignment) {
        return address == 0 ? this : read(name, address, bytes, alignment);
    }

    /** Like {@link #written} where there is an address; 0 is none. */
    AddressChecks writtenIfAny(String name, long address, long bytes, int alignment) {
        return address == 0 ? this : written(name, address, bytes, alignment);
    }

    private AddressChecks add(Range range, int alignment) {
        if (range.address == 0) {
            throw new LaunchException(operation + ": the address of " + range.name + " is 0, wanted " + range.bytes
                    + " bytes of the device");
        }
        if (range.address % alignment != 0) {
            throw new LaunchException(operation + ": the address of " + range.name + " is 0x"
                    + Long.toHexString(range.address) + ", wanted a multiple of " + alignment);
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
