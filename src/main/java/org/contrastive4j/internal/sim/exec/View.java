package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.internal.parse.Parameter;

/** What a debugger shows of a warp that is about to execute an instruction. */
public record View(Warp warp, Step step, int lanes) {
    /** Returns the registers of the function that the instruction belongs to, each with its values by lane. */
    public List<String> registers(String name) {
        String[] names = warp.cta().cluster().grid().code().names();
        List<String> lines = new ArrayList<>();
        for (int register = 0; register < names.length; register++) {
            if (!names[register].isEmpty() && (name.isEmpty() || names[register].equals(name))) {
                lines.add(names[register] + " = " + values(register));
            }
        }
        return lines;
    }

    /** The values of a register: one where all live lanes have the same, else one for each lane. */
    private String values(int register) {
        List<String> values = new ArrayList<>();
        for (int left = warp.live(); left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            boolean known = (warp.written()[register] >>> lane & 1) != 0
                    || (warp.predicatesWritten()[register] >>> lane & 1) != 0;
            values.add(known ? warp.value(register, lane) : "?");
        }
        return values.stream().distinct().count() == 1 && values.size() > 1
                ? values.get(0) + " in all lanes"
                : String.join(" ", values);
    }

    /**
     * Returns the address that a parameter of the kernel holds, or where a shared variable begins in shared memory; -1
     * where there is none of that name.
     */
    public long address(String name) {
        Grid grid = warp.cta().cluster().grid();
        for (Parameter parameter : grid.code().function().parameters()) {
            if (parameter.name().equals(name) && parameter.bytes() == Long.BYTES) {
                return grid.parameters().load(parameter.offset(), Long.BYTES);
            }
        }
        return grid.code().sharedLayout().offset(name);
    }

    /** Whether a name is that of a shared variable. */
    public boolean isShared(String name) {
        return warp.cta().cluster().grid().code().sharedLayout().offset(name) >= 0;
    }

    /** Returns the threads of the lanes that are about to execute the instruction. */
    public String threads() {
        int first = Integer.numberOfTrailingZeros(lanes);
        int last = 31 - Integer.numberOfLeadingZeros(lanes);
        return "block " + warp.cta().index() + ", warp " + warp.index() + ", threads " + warp.threadOf(first) + " to "
                + warp.threadOf(last) + ", lanes 0x" + Integer.toHexString(lanes);
    }
}
