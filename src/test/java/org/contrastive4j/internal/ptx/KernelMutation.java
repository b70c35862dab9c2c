package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.regex.Pattern;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.PtxDevice;
import org.junit.jupiter.api.function.Executable;

/** A mutation of the text of one kernel, which the tests of that kernel must detect. */
interface KernelMutation {
    /** Returns the name of the kernel, with its dtype and variant. */
    String name();

    /** Returns the text with the fault. */
    String apply(String text);

    /**
     * Returns whether a comparison or the simulator detected the fault; anything else is an error of the test or a
     * refused launch.
     */
    static boolean isFinding(Throwable noticed) {
        return noticed instanceof AssertionError || noticed instanceof KernelException;
    }

    /** Returns the kernels of a device, this one mutated. */
    default Kernels kernels(PtxDevice device) {
        return new Kernels(device, name -> name.equals(name()) ? apply(Kernels.text(name)) : Kernels.text(name));
    }

    /**
     * Checks that the test fails by a wrong number or a checker of the simulator, and not because the text is no
     * longer PTX.
     */
    default void assertNoticedBy(Executable test) {
        String text = Kernels.text(name());
        assertNotEquals(text, apply(text), "nothing changed: " + this);
        Throwable noticed = assertThrows(Throwable.class, test, toString());
        assertTrue(
                isFinding(noticed),
                () -> "expected a wrong number or a fault of the simulator by " + this + ", not " + noticed);
    }

    /**
     * Replaces one occurrence, counted from 0, of {@code from} by {@code to}.
     *
     * @param kernel name without the dtype for f32; with a variant after a bar; the whole name for sm_90a, f64 and s32
     */
    record Change(String kernel, String from, int occurrence, String to) implements KernelMutation {
        @Override
        public String name() {
            String[] parts = kernel.split("\\|");
            return parts[0]
                    + (kernel.matches(".*(16|tf32|f64|s32|sm90a)") ? "" : "_f32")
                    + (parts.length > 1 ? "_" + parts[1] : "");
        }

        @Override
        public String apply(String text) {
            int at = -1;
            for (int i = 0; i <= occurrence; i++) {
                at = text.indexOf(from, at + 1);
                if (at < 0) {
                    throw new IllegalArgumentException(this + ": the text has only " + i + " of it");
                }
            }
            return text.substring(0, at) + to + text.substring(at + from.length());
        }
    }

    /** Returns the text with the first match of a pattern replaced, groups as {@code $1}. */
    static String replaceFirst(String text, String pattern, String instead) {
        return Pattern.compile(pattern).matcher(text).replaceFirst(instead);
    }
}
