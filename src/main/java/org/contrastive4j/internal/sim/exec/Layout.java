package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where the variables of a state space lie. There are gaps between them, so that an access that runs from one into the
 * next is found.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public final class Layout {
    private static final Pattern LOCAL_NAME = Pattern.compile("_ZZ.*E([1-9][0-9]{0,2})([A-Za-z_].*)");

    private final List<Extent> extents = new ArrayList<>();
    private int openEnd = Integer.MAX_VALUE;
    /** The variable that was found last: the next access often is to the same. Any value is right. */
    private int last;

    /**
     * Bytes of one variable.
     *
     * @param from offset of the first byte
     * @param to offset behind the last byte
     */
    record Extent(String name, int from, int to) {
        boolean contains(long offset, int bytes) {
            return offset >= from && offset + bytes <= to;
        }
    }

    void add(String name, int from, int bytes) {
        extents.add(new Extent(readable(name), from, from + bytes));
    }

    /** The name of a variable of a function without what nvcc adds: {@code tile} of {@code _ZZ6kernelPfE4tile}. */
    private static String readable(String name) {
        Matcher mangled = LOCAL_NAME.matcher(name);
        if (mangled.matches()) {
            int length = Integer.parseInt(mangled.group(1));
            String rest = mangled.group(2);
            if (length <= rest.length()) {
                return rest.substring(0, length);
            }
        }
        return name;
    }

    /** All bytes from an offset on are one array, sized by the launch. */
    void openAt(int from) {
        openEnd = from;
    }

    /** Whether all bytes of an access belong to one variable. */
    boolean contains(long offset, int bytes) {
        if (offset >= openEnd) {
            return true;
        }
        int guess = last;
        if (guess < extents.size() && extents.get(guess).contains(offset, bytes)) {
            return true;
        }
        for (int i = 0; i < extents.size(); i++) {
            if (extents.get(i).contains(offset, bytes)) {
                last = i;
                return true;
            }
        }
        return false;
    }

    /** Returns where a variable begins; -1 where there is none of that name. */
    int offset(String name) {
        return extents.stream()
                .filter(extent -> extent.name.equals(name))
                .mapToInt(Extent::from)
                .findFirst()
                .orElse(-1);
    }

    /** Returns the variable that contains a byte and where in it, for messages; nothing where there is none. */
    String name(int offset) {
        for (Extent extent : extents) {
            if (extent.contains(offset, 1)) {
                return " (" + extent.name + "+" + (offset - extent.from) + ")";
            }
        }
        return offset >= openEnd ? " (dynamic shared memory+" + (offset - openEnd) + ")" : "";
    }

    /** Returns where an offset is, for messages: in, behind or before a variable. */
    String describe(long offset) {
        Extent before = null;
        for (Extent extent : extents) {
            if (extent.from <= offset && (before == null || extent.from > before.from)) {
                before = extent;
            }
        }
        if (before == null) {
            return "before all variables";
        }
        String size = before.name + " of " + (before.to - before.from) + " bytes";
        return offset < before.to
                ? "offset " + (offset - before.from) + " of " + size
                : offset - before.to + " bytes behind the end of " + size;
    }
}
