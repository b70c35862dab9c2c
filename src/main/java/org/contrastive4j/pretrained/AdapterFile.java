package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.tensor.Tensor;

/** Writes parameters as a safetensors file of f32. */
final class AdapterFile {
    private AdapterFile() {}

    static void write(Path file, Map<String, Parameter> tensors) throws IOException {
        ObjectNode header = Json.MAPPER.createObjectNode();
        header.putObject("__metadata__").put("format", "pt");
        long at = 0;
        for (Map.Entry<String, Parameter> entry : tensors.entrySet()) {
            Tensor tensor = entry.getValue().value();
            ObjectNode node = header.putObject(entry.getKey());
            node.put("dtype", "F32");
            node.set("shape", Json.MAPPER.valueToTree(tensor.shape().dims()));
            long end = at + tensor.size() * Float.BYTES;
            node.set("data_offsets", Json.MAPPER.valueToTree(new long[] {at, end}));
            at = end;
        }
        StringBuilder text = new StringBuilder(Json.MAPPER.writeValueAsString(header));
        while (text.toString().getBytes(StandardCharsets.UTF_8).length % Long.BYTES != 0) {
            text.append(' ');
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
            out.write(ByteBuffer.allocate(Long.BYTES)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(bytes.length)
                    .array());
            out.write(bytes);
            for (Parameter parameter : tensors.values()) {
                double[] values = parameter.value().toDoubles();
                ByteBuffer block =
                        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
                for (double value : values) {
                    block.putFloat((float) value);
                }
                out.write(block.array());
            }
        }
    }
}
