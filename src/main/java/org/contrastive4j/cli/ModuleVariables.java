package org.contrastive4j.cli;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Option;

/** Options that set and print variables of a module: {@code __device__} and {@code __constant__} in CUDA. */
final class ModuleVariables {
    @Option(
            names = "--set",
            paramLabel = "VARIABLE=TYPE:VALUES",
            showDefaultValue = Visibility.NEVER,
            description = "values of a __constant__ or __device__ variable before the launch, such as"
                    + " weights=f32:0.5,2 or weights=f32:@FILE")
    private Map<String, String> values = new LinkedHashMap<>();

    @Option(
            names = "--show",
            paramLabel = "VARIABLE:TYPE",
            showDefaultValue = Visibility.NEVER,
            description = "variable of the module that is printed afterwards")
    private List<String> shown = List.of();

    void write(PtxModule module) {
        values.forEach((name, text) -> {
            DeviceStorage storage = module.variable(name);
            int colon = text.indexOf(':');
            if (colon < 0) {
                throw new IllegalArgumentException(
                        "--set " + name + "=" + text + ": expected TYPE:VALUES, such as f32:0.5,2");
            }
            Element element = Element.of(text.substring(0, colon));
            byte[] bytes = bytes(element, text.substring(colon + 1));
            if (bytes.length > storage.bytes()) {
                throw new IllegalArgumentException(
                        "--set " + name + ": " + bytes.length + " bytes, the variable has " + storage.bytes());
            }
            storage.upload(0, ByteBuffer.allocateDirect(bytes.length).put(bytes).flip());
        });
    }

    private static byte[] bytes(Element element, String text) {
        if (text.startsWith("@")) {
            return BufferFile.read(Path.of(text.substring(1)), element);
        }
        String[] words = text.split(",", -1);
        ByteBuffer bytes = ByteBuffer.allocate(words.length * element.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (String word : words) {
            element.put(bytes, element.parse(word));
        }
        return bytes.array();
    }

    void print(PtxModule module, int most) {
        for (String one : shown) {
            int colon = one.lastIndexOf(':');
            if (colon < 0) {
                throw new IllegalArgumentException("--show " + one + ": expected VARIABLE:TYPE, such as total:u32");
            }
            Element element = Element.of(one.substring(colon + 1));
            DeviceStorage storage = module.variable(one.substring(0, colon));
            int count = (int) (storage.bytes() / element.bytes());
            int first = Math.min(most, count);
            ByteBuffer bytes =
                    ByteBuffer.allocateDirect(first * element.bytes()).order(ByteOrder.nativeOrder());
            storage.download(0, bytes);
            bytes.flip();
            StringJoiner words = new StringJoiner(" ");
            for (int k = 0; k < first; k++) {
                words.add(element.next(bytes));
            }
            System.out.println("  " + one + ": " + words + (first < count ? " ..." : ""));
        }
    }
}
