package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.regex.Pattern;
import org.contrastive4j.device.KernelException;
import org.contrastive4j.device.PtxDevice;
import org.junit.jupiter.api.function.Executable;

/** A small fault put into the text of one kernel, which the tests of that kernel have to notice. */
interface KernelMutation {
    /** Of the kernel, with its dtype and variant. */
    String name();

    /** The text with the fault in it. */
    String apply(String text);

    /** Whether a comparison or the simulator says it; anything else is an error of the test, or a refusal to launch. */
    static boolean isFinding(Throwable noticed) {
        return noticed instanceof AssertionError || noticed instanceof KernelException;
    }

    /** The kernels of a device, this one with its fault. */
    default Kernels kernels(PtxDevice device) {
        return new Kernels(device, name -> name.equals(name()) ? apply(Kernels.text(name)) : Kernels.text(name));
    }

    /** The test fails, by a wrong number or a check of the simulator: not because the text is no longer PTX. */
    default void assertNoticedBy(Executable test) {
        String text = Kernels.text(name());
        assertNotEquals(text, apply(text), "nothing changed: " + this);
        Throwable noticed = assertThrows(Throwable.class, test, toString());
        assertTrue(
                isFinding(noticed),
                () -> "wanted a wrong number or a fault of the simulator by " + this + ", not " + noticed);
    }

    /**
     * The occurrence (from 0) of {@code from} becomes {@code to}.
     *
     * @param kernel without the dtype where that is f32; a variant after a bar; the whole name of one of sm_90a
     */
    record Change(String kernel, String from, int occurrence, String to) implements KernelMutation {
        @Override
        public String name() {
            String[] parts = kernel.split("\\|");
            return parts[0]
                    + (kernel.matches(".*(16|tf32|sm90a)") ? "" : "_f32")
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

    /** The text with the first match of a pattern replaced, groups as {@code $1}. */
    static String replaceFirst(String text, String pattern, String instead) {
        return Pattern.compile(pattern).matcher(text).replaceFirst(instead);
    }
}
