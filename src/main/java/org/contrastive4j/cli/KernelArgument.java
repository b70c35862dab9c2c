package org.contrastive4j.cli;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.StringJoiner;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.jspecify.annotations.Nullable;

/**
 * One {@code --arg}: a buffer or a number.
 *
 * <p>Tested by {@code PtxCommandsTest}.
 *
 * @param text of the option
 * @param direction in or out; null for a number
 * @param element type of the number or of the elements
 * @param count elements of a buffer
 * @param fill initial content of a buffer; null for an uninitialised buffer
 * @param file whose values a buffer begins with; null for none
 * @param value bits of a number, or of all elements if the fill is {@link Fill#VALUE}
 */
record KernelArgument(
        String text,
        @Nullable Direction direction,
        Element element,
        int count,
        @Nullable Fill fill,
        @Nullable Path file,
        long value)
        implements LaunchArgument {
    enum Direction {
        IN,
        OUT
    }

    /** Initial content of a buffer. */
    enum Fill {
        ZERO,
        IOTA,
        RANDOM,
        VALUE,
        FILE
    }

    /** @throws IllegalArgumentException with the wrong part and what is expected */
    static KernelArgument parse(String text) {
        int at = text.indexOf(":@");
        String[] parts = (at < 0 ? text : text.substring(0, at)).split(":", -1);
        Path file = at < 0 ? null : Path.of(text.substring(at + 2));
        return switch (parts[0]) {
            case "in" -> buffer(text, Direction.IN, parts, file);
            case "out" -> buffer(text, Direction.OUT, parts, file);
            default -> number(text, parts);
        };
    }

    /** A buffer that begins with the values of a file, and is as large unless a count is given. */
    private static KernelArgument fromFile(String text, Direction direction, String[] parts, Path file) {
        if (parts.length != 2 && parts.length != 3) {
            throw new IllegalArgumentException("expected " + parts[0] + ":TYPE[:COUNT]:@FILE");
        }
        Element element = Element.of(parts[1]);
        int stored = BufferFile.read(file, element).length / element.bytes();
        int count = parts.length == 2 ? stored : count(parts[2], element, parts[1]);
        if (stored > count) {
            throw new IllegalArgumentException(file + " holds " + stored + " values, the buffer " + count);
        }
        return new KernelArgument(text, direction, element, count, Fill.FILE, file, 0);
    }

    private static int count(String text, Element element, String type) {
        int most = (Integer.MAX_VALUE - 8) / element.bytes();
        long count = text.matches("[0-9]{1,10}") ? Long.parseLong(text) : 0;
        if (count < 1 || count > most) {
            throw new IllegalArgumentException(
                    "count is \"" + text + "\", expected 1 to " + most + " elements of " + type);
        }
        return (int) count;
    }

    private static KernelArgument buffer(String text, Direction direction, String[] parts, @Nullable Path file) {
        if (file != null) {
            return fromFile(text, direction, parts, file);
        }
        if (parts.length != 3 && parts.length != 4) {
            throw new IllegalArgumentException(
                    "expected " + parts[0] + ":TYPE:COUNT or " + parts[0] + ":TYPE:COUNT:FILL");
        }
        Element element = Element.of(parts[1]);
        int count = count(parts[2], element, parts[1]);
        String fill = parts.length == 4 ? parts[3] : direction == Direction.IN ? "zero" : null;
        if (fill == null) {
            return new KernelArgument(text, direction, element, count, null, null, 0);
        }
        Fill kind =
                switch (fill) {
                    case "zero" -> Fill.ZERO;
                    case "iota" -> Fill.IOTA;
                    case "random" -> Fill.RANDOM;
                    default -> Fill.VALUE;
                };
        long value = 0;
        if (kind == Fill.VALUE) {
            if (!fill.matches("[-+.0-9].*|NaN|Infinity")) {
                throw new IllegalArgumentException("fill is \"" + fill + "\", expected zero, iota, random or a number");
            }
            value = element.parse(fill);
        }
        return new KernelArgument(text, direction, element, count, kind, null, value);
    }

    private static KernelArgument number(String text, String[] parts) {
        if (parts.length != 2) {
            throw new IllegalArgumentException("expected in:TYPE:COUNT[:FILL], out:TYPE:COUNT[:FILL] or TYPE:VALUE");
        }
        Element element = Element.of(parts[0]);
        return new KernelArgument(text, null, element, 1, null, null, element.parse(parts[1]));
    }

    boolean isBuffer() {
        return direction != null;
    }

    boolean isOut() {
        return direction == Direction.OUT;
    }

    /** Returns the number as an argument of a launch. */
    Object number() {
        return element.argument(value);
    }

    @Override
    public Object value(PtxDevice device, long seed, Object[] others) {
        return isBuffer() ? allocate(device, seed) : number();
    }

    /** Allocates and fills a buffer; without a fill its content is undefined. The caller closes it. */
    DeviceStorage allocate(PtxDevice device, long seed) {
        DeviceStorage storage = device.allocate((long) count * element.bytes());
        if (fill == null) {
            return storage;
        }
        ByteBuffer bytes = ByteBuffer.allocateDirect(count * element.bytes()).order(ByteOrder.nativeOrder());
        if (file != null) {
            bytes.put(BufferFile.read(file, element)).clear();
            storage.upload(0, bytes);
            return storage;
        }
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < count; i++) {
            element.put(
                    bytes,
                    switch (fill) {
                        case ZERO -> 0;
                        case IOTA -> element.count(i);
                        case RANDOM -> element.random(random);
                        default -> value;
                    });
        }
        storage.upload(0, bytes.flip());
        return storage;
    }

    /** Returns the contents of a buffer. */
    byte[] contents(DeviceStorage storage) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(count * element.bytes());
        storage.download(0, bytes);
        byte[] array = new byte[bytes.capacity()];
        bytes.flip().get(array);
        return array;
    }

    /** Formats the first elements of a buffer. */
    String first(DeviceStorage storage, int most) {
        int shown = Math.min(count, most);
        ByteBuffer bytes = ByteBuffer.allocateDirect(shown * element.bytes()).order(ByteOrder.nativeOrder());
        storage.download(0, bytes);
        bytes.flip();
        StringJoiner values = new StringJoiner(" ");
        for (int i = 0; i < shown; i++) {
            values.add(element.next(bytes));
        }
        return shown < count ? values.add("...").toString() : values.toString();
    }
}
