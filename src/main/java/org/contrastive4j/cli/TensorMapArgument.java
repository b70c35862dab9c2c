package org.contrastive4j.cli;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.parse.Type;
import org.contrastive4j.internal.sim.exec.TensorMap;

/**
 * A tensor map over the buffer of another argument.
 *
 * @param argument number of that argument, from 1
 */
record TensorMapArgument(int argument, Type type, List<Long> sizes, List<Integer> box, TensorMap.Swizzle swizzle)
        implements LaunchArgument {
    /** {@code map:ARGUMENT:TYPE:SIZES:BOX[:SWIZZLE]}, such as {@code map:1:f32:64x32:32x8:128}. */
    static TensorMapArgument parse(String text) {
        String[] parts = text.split(":", -1);
        if (parts.length < 5 || parts.length > 6 || !parts[1].matches("[1-9][0-9]?")) {
            throw new IllegalArgumentException(
                    "expected map:ARGUMENT:TYPE:SIZES:BOX[:SWIZZLE], such as map:1:f32:64x32:32x8:128");
        }
        Element element = Element.of(parts[2]);
        Type type =
                switch (element) {
                    case I32 -> Type.S32;
                    case I64 -> Type.S64;
                    default -> Type.valueOf(element.name());
                };
        TensorMap.Swizzle swizzle =
                switch (parts.length == 6 ? parts[5] : "none") {
                    case "none" -> TensorMap.Swizzle.NONE;
                    case "32" -> TensorMap.Swizzle.BYTES_32;
                    case "64" -> TensorMap.Swizzle.BYTES_64;
                    case "128" -> TensorMap.Swizzle.BYTES_128;
                    default ->
                        throw new IllegalArgumentException(
                                "swizzle is \"" + parts[5] + "\", expected none, 32, 64 or 128");
                };
        List<Long> sizes = sizes(parts[3]);
        List<Integer> box = sizes(parts[4]).stream().map(Math::toIntExact).toList();
        return new TensorMapArgument(Integer.parseInt(parts[1]), type, sizes, box, swizzle);
    }

    private static List<Long> sizes(String text) {
        if (!text.matches("[0-9]{1,9}(x[0-9]{1,9}){0,4}")) {
            throw new IllegalArgumentException("sizes are \"" + text + "\", expected 1 to 5 such as 64x32");
        }
        return Arrays.stream(text.split("x", -1)).map(Long::valueOf).toList();
    }

    @Override
    public Object value(PtxDevice device, long seed, Object[] others) {
        if (argument > others.length || !(others[argument - 1] instanceof DeviceStorage storage)) {
            throw new IllegalArgumentException("argument " + argument + " of a tensor map is not a buffer");
        }
        return TensorMap.dense(type, storage.address(), sizes, box)
                .withSwizzle(swizzle)
                .encode();
    }
}
