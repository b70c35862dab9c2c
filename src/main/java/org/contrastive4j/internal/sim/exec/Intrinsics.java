package org.contrastive4j.internal.sim.exec;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Functions of the CUDA runtime that kernels call and no PTX text defines: printf, assert, malloc and free.
 *
 * <p>Tested by {@code RuntimeFunctionsTest}.
 */
final class Intrinsics {
    private static final Set<String> NAMES = Set.of("vprintf", "__assertfail", "malloc", "free");
    private static final int MOST_TEXT = 1 << 16;
    private static final Pattern CONVERSION =
            Pattern.compile("%([-+ #0]*[0-9*]*(?:\\.[0-9*]+)?)(hh|h|ll|l|z|j|t)?([diouxXcsfFeEgGaAp%])");

    private Intrinsics() {}

    static boolean contains(String name) {
        return NAMES.contains(name);
    }

    /**
     * @param from places of the arguments in the local memory of a lane, of so many bytes
     * @param result place of the returned value; null where the call ignores it
     */
    static Step step(String name, long[] from, int[] bytes, Frame.@Nullable Result result) {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long[] given = new long[from.length];
                    for (int k = 0; k < given.length; k++) {
                        given[k] = warp.local().load(at(warp, lane, from[k]), bytes[k]);
                    }
                    long value = call(name, new Call(warp, this, lane), given);
                    if (result != null) {
                        warp.local().store(at(warp, lane, result.to()), result.bytes(), value);
                        warp.local().markWritten(at(warp, lane, result.to()), result.bytes());
                    }
                }
            }
        };
    }

    private static int at(Warp warp, int lane, long local) {
        return lane * (warp.local().bytes() / Warp.LANES) + (int) local;
    }

    private static long call(String name, Call call, long[] given) {
        switch (name) {
            case "vprintf" -> {
                return call.print(call.text(given[0]), given[1]);
            }
            case "malloc" -> {
                GlobalMemory memory = call.warp.cta.cluster().grid().memory();
                boolean fits = given[0] > 0 && given[0] < Integer.MAX_VALUE / 2;
                return fits
                        ? memory.allocate((int) given[0], "memory of malloc", Region.Space.GLOBAL)
                                .base()
                        : 0;
            }
            case "free" -> {
                call.free(given[0]);
                return 0;
            }
            default ->
                throw call.warp.fault(
                        Fault.Kind.ILLEGAL,
                        call.step,
                        call.lane,
                        "assertion failed at " + call.text(given[1]) + ":" + given[2] + " in " + call.text(given[3])
                                + ": " + call.text(given[0]));
        }
    }

    /** One lane that calls. */
    private record Call(Warp warp, Step step, int lane) {
        private long load(long address, int bytes) {
            AddressResolver.resolve(
                    warp, step, lane, AddressResolver.Space.GENERIC, address, bytes, bytes, warp.access);
            return warp.access.blocks[lane].load(warp.access.offsets[lane], bytes);
        }

        /** A text that ends with a zero byte. */
        private String text(long address) {
            if (address == 0) {
                return "(null)";
            }
            byte[] text = new byte[MOST_TEXT];
            int length = 0;
            for (int c = (int) load(address, 1); c != 0 && length < MOST_TEXT; c = (int) load(address + length, 1)) {
                text[length++] = (byte) c;
            }
            return new String(text, 0, length, StandardCharsets.UTF_8);
        }

        private void free(long address) {
            if (address == 0) {
                return;
            }
            Region region = warp.cta.cluster().grid().memory().find(address);
            if (region == null || region.base() != address || !region.name().equals("memory of malloc")) {
                throw warp.fault(
                        Fault.Kind.ILLEGAL,
                        step,
                        lane,
                        "free of 0x" + Long.toHexString(address) + ", which malloc has not returned");
            }
            if (region.isFreed()) {
                throw warp.fault(Fault.Kind.ILLEGAL, step, lane, "free of " + region + ", which was freed before");
            }
            region.free();
        }

        /** Prints; arguments lie one after the other, each at a multiple of its size. Returns their number. */
        private int print(String format, long arguments) {
            Matcher each = CONVERSION.matcher(format);
            StringBuilder out = new StringBuilder();
            long at = arguments;
            int count = 0;
            int end = 0;
            while (each.find()) {
                out.append(format, end, each.start());
                end = each.end();
                char conversion = each.group(3).charAt(0);
                if (conversion == '%') {
                    out.append('%');
                    continue;
                }
                String flags = each.group(1);
                for (int star = flags.indexOf('*'); star >= 0; star = flags.indexOf('*')) {
                    at = at + 3 & -4;
                    flags = flags.substring(0, star) + (int) load(at, 4) + flags.substring(star + 1);
                    at += 4;
                    count++;
                }
                boolean wide = "fFeEgGaAsp".indexOf(conversion) >= 0
                        || each.group(2) != null && !each.group(2).startsWith("h");
                int bytes = wide ? 8 : 4;
                at = at + bytes - 1 & -bytes;
                Object value = value(conversion, load(at, bytes), wide);
                at += bytes;
                count++;
                out.append(
                        conversion == 'g' || conversion == 'G'
                                ? shortest(flags, conversion, (Double) value)
                                : String.format(
                                        Locale.ROOT, "%" + javaFlags(flags, conversion) + java(conversion), value));
            }
            out.append(format, end, format.length());
            warp.cta.cluster().grid().print(out.toString());
            return count;
        }

        /**
         * {@code %g} as C prints it: significant digits without trailing zeros, an exponent only where it is shorter.
         */
        private static String shortest(String flags, char conversion, double value) {
            Matcher parts =
                    Pattern.compile("([-+ #0]*)([0-9]*)(?:\\.([0-9]*))?").matcher(flags);
            parts.matches();
            int digits = parts.group(3) == null ? 6 : parts.group(3).isEmpty() ? 1 : Integer.parseInt(parts.group(3));
            digits = Math.max(1, digits);
            String text = Double.toString(value).replace("Infinity", "inf").replace("NaN", "nan");
            if (Double.isFinite(value)) {
                String scientific = String.format(Locale.ROOT, "%." + (digits - 1) + "e", value);
                int exponent = Integer.parseInt(scientific.substring(scientific.indexOf('e') + 1));
                boolean plain = exponent >= -4 && exponent < digits;
                text = plain ? String.format(Locale.ROOT, "%." + (digits - 1 - exponent) + "f", value) : scientific;
                int mark = plain ? text.length() : text.indexOf('e');
                String mantissa = text.substring(0, mark);
                text = (mantissa.contains(".") ? mantissa.replaceAll("\\.?0+$", "") : mantissa) + text.substring(mark);
            }
            text = conversion == 'G' ? text.toUpperCase(Locale.ROOT) : text;
            String width = parts.group(2);
            return width.isEmpty()
                    ? text
                    : String.format(Locale.ROOT, "%" + (parts.group(1).contains("-") ? "-" : "") + width + "s", text);
        }

        private Object value(char conversion, long bits, boolean wide) {
            return switch (conversion) {
                case 'd', 'i' -> wide ? (Object) bits : (Object) (int) bits;
                case 'u' -> Long.toUnsignedString(bits);
                case 'o', 'x', 'X' -> wide ? (Object) bits : (Object) (int) bits;
                case 'c' -> String.valueOf((char) (bits & 0xFF));
                case 's' -> text(bits);
                case 'p' -> "0x" + Long.toHexString(bits);
                default -> Double.longBitsToDouble(bits);
            };
        }

        private static String javaFlags(String flags, char conversion) {
            boolean text = "uscp".indexOf(conversion) >= 0;
            String kept = text ? flags.replaceAll("^[-+ #0]*", flags.startsWith("-") ? "-" : "") : flags;
            kept = kept.replace("#", "oxX".indexOf(conversion) >= 0 ? "#" : "");
            return conversion == 's' || !text && "diouxX".indexOf(conversion) < 0 ? kept : kept.replaceAll("\\..*", "");
        }

        private static char java(char conversion) {
            return switch (conversion) {
                case 'i' -> 'd';
                case 'u', 'c', 'p' -> 's';
                case 'F' -> 'f';
                case 'A' -> 'a';
                default -> conversion;
            };
        }
    }
}
