package org.contrastive4j.pretrained;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;

/** Known answers that {@code test-data/pretrained/goldens.py} computed in f64, and how they compare. */
final class GoldenModel implements AutoCloseable {
    static final Path FOLDER = Path.of("test-data/pretrained");

    private final SafetensorsFile file;

    GoldenModel(String model) {
        file = SafetensorsFile.open(FOLDER.resolve(model).resolve("golden.safetensors"));
    }

    double[] values(String name) {
        return values(file, name);
    }

    static double[] values(SafetensorsFile file, String name) {
        Entry entry = file.entries().get(name);
        ByteBuffer bytes =
                ByteBuffer.allocate((int) (entry.end() - entry.begin())).order(ByteOrder.LITTLE_ENDIAN);
        file.read(entry, 0, bytes);
        bytes.flip();
        double[] values = new double[(int) entry.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (entry.dtype()) {
                case "F64" -> bytes.getDouble();
                case "I64" -> bytes.getLong();
                default -> bytes.getFloat();
            };
        }
        return values;
    }

    /** Pictures with channels last. */
    double[] pictures(int size) {
        double[] planes = values("pixel_values");
        double[] pictures = new double[planes.length];
        int plane = size * size;
        for (int i = 0; i < planes.length; i++) {
            int picture = i / (3 * plane);
            int channel = i / plane % 3;
            pictures[(picture * plane + i % plane) * 3 + channel] = planes[i];
        }
        return pictures;
    }

    int[] ids() {
        return Arrays.stream(values("input_ids")).mapToInt(id -> (int) id).toArray();
    }

    /** Largest error of a parameter's gradient relative to the norm of the golden one. */
    double gradientError(Map<String, Slot> slots, Map<String, Parameter> parameters) {
        double worst = 0;
        for (Slot slot : slots.values()) {
            double[] golden = values("grad." + slot.tensor());
            double[] gradient = parameters.get(slot.parameter()).gradient().toDoubles();
            double[] found = new double[golden.length];
            int rows = slot.shape().length == 0 ? 1 : slot.shape()[0];
            long stride = slot.shape().length == 0 ? 0 : slot.strides()[0];
            int[] offsets = WeightReader.rowOffsets(slot, golden.length / rows);
            for (int i = 0; i < found.length; i++) {
                found[i] = gradient[(int) (slot.offset() + i / offsets.length * stride) + offsets[i % offsets.length]];
            }
            worst = Math.max(worst, error(found, golden));
        }
        return worst;
    }

    /** Norm of the difference over the norm of the golden values; NaN counts as infinite. */
    static double error(double[] found, double[] golden) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < golden.length; i++) {
            difference += (found[i] - golden[i]) * (found[i] - golden[i]);
            norm += golden[i] * golden[i];
        }
        double error = Math.sqrt(difference) / Math.max(Math.sqrt(norm), 1e-12);
        return Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
    }

    @Override
    public void close() {
        file.close();
    }
}
