package org.contrastive4j.internal.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.parse.Parameter;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/** Arguments of a launch: checked against what the kernel declares, laid out as the kernel reads them. */
public final class Arguments {
    private Arguments() {}

    /**
     * The bytes of the parameter space: each argument at {@link Parameter#offset()} in native byte order, zeros
     * between them.
     *
     * @param device the device that is to launch; storages must be open and its own
     * @param kernel its name, for messages
     * @param given one argument for each declared parameter, as for {@link Kernel#launch}
     * @throws LaunchException naming the parameter, its declared type, what was given and what was expected
     */
    public static byte[] pack(PtxDevice device, String kernel, List<Parameter> declared, Object... given) {
        int count = given == null ? 0 : given.length;
        if (count != declared.size()) {
            throw new LaunchException("kernel " + kernel + " was given " + count + " arguments, expected "
                    + declared.size()
                    + ": "
                    + String.join(
                            ", ", declared.stream().map(Arguments::declaration).toList()));
        }
        Parameter last = declared.isEmpty() ? null : declared.get(count - 1);
        ByteBuffer space = ByteBuffer.allocate(last == null ? 0 : last.offset() + last.bytes())
                .order(ByteOrder.nativeOrder());
        for (int i = 0; i < count; i++) {
            Parameter parameter = declared.get(i);
            space.position(parameter.offset());
            String problem = given[i] == null ? "null" : put(device, parameter, given[i], space);
            if (problem != null) {
                throw new LaunchException("kernel " + kernel + ", argument " + (i + 1) + ": parameter "
                        + declaration(parameter)
                        + " was given " + problem + ", expected " + expected(parameter));
            }
        }
        return space.array();
    }

    /** What is wrong with the argument, null when it was written. */
    private static @Nullable String put(PtxDevice device, Parameter parameter, Object given, ByteBuffer space) {
        if (given instanceof byte[] bytes) {
            if (!parameter.array() || bytes.length != parameter.bytes()) {
                return "a byte[" + bytes.length + "]";
            }
            space.put(bytes);
            return null;
        }
        if (given instanceof DeviceStorage storage) {
            return put(device, parameter, storage, space);
        }
        if (parameter.array() || !accepts(parameter.type(), given)) {
            return given instanceof Number
                    ? "the " + given.getClass().getSimpleName() + " " + given
                    : "a " + given.getClass().getName();
        }
        if (given instanceof Long value) {
            space.putLong(value);
        } else if (given instanceof Double value) {
            space.putDouble(value);
        } else if (given instanceof Integer value) {
            space.putInt(value);
        } else if (given instanceof Float value) {
            space.putFloat(value);
        } else if (given instanceof Short value) {
            space.putShort(value);
        } else {
            space.put((Byte) given);
        }
        return null;
    }

    private static @Nullable String put(
            PtxDevice device, Parameter parameter, DeviceStorage storage, ByteBuffer space) {
        if (!isAddress(parameter)) {
            return "a storage of " + storage.bytes() + " bytes";
        }
        if (storage.memory() != device) {
            return "a storage of " + storage.bytes() + " bytes of another device";
        }
        try {
            storage.checkOpen();
            space.putLong(storage.address());
            return null;
        } catch (IllegalStateException closed) {
            return "a storage of " + storage.bytes() + " bytes that was closed";
        }
    }

    private static boolean isAddress(Parameter parameter) {
        Type type = parameter.type();
        return !parameter.array() && type.bytes() == Long.BYTES && !type.isFloat();
    }

    private static boolean accepts(Type type, Object given) {
        boolean integer = type.isInteger() || type.isBits();
        if (given instanceof Long) {
            return integer && type.bytes() == Long.BYTES;
        }
        if (given instanceof Double) {
            return type == Type.F64 || type == Type.B64;
        }
        if (given instanceof Integer) {
            return integer && type.bytes() == Integer.BYTES;
        }
        if (given instanceof Float) {
            return type == Type.F32 || type == Type.B32;
        }
        if (given instanceof Short) {
            return type.bytes() == Short.BYTES; // the bits of a half where it is one
        }
        return given instanceof Byte && integer && type.bytes() == Byte.BYTES;
    }

    private static String expected(Parameter parameter) {
        if (parameter.array()) {
            return "a byte[" + parameter.bytes() + "]";
        }
        Type type = parameter.type();
        return switch (type.bytes()) {
            case Long.BYTES ->
                type == Type.F64
                        ? "a Double"
                        : "an open storage of this device" + (type == Type.B64 ? ", a Long or a Double" : " or a Long");
            case Integer.BYTES -> type == Type.F32 ? "a Float" : "an Integer" + (type == Type.B32 ? " or a Float" : "");
            case Short.BYTES -> "a Short";
            default -> "a Byte";
        };
    }

    private static String declaration(Parameter parameter) {
        return parameter.type() + " " + parameter.name() + (parameter.array() ? "[" + parameter.count() + "]" : "");
    }
}
