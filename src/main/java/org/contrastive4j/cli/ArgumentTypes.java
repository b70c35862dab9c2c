package org.contrastive4j.cli;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Parameter;
import org.contrastive4j.internal.parse.Parser;
import org.contrastive4j.internal.parse.Type;

/** Checks the types of numbers and buffers in the words of {@code --arg}; a launch names their Java types. */
final class ArgumentTypes {
    private ArgumentTypes() {}

    /**
     * Checks the arguments of an entry. The launch checks their number, structures and tensor maps.
     *
     * @param file name of the PTX text
     * @throws IllegalArgumentException with the argument, its parameter and the expected form
     */
    static void require(String file, String text, String entry, List<LaunchArgument> arguments) {
        List<Parameter> parameters = parameters(file, text, entry);
        for (int k = 0; k < Math.min(parameters.size(), arguments.size()); k++) {
            if (arguments.get(k) instanceof KernelArgument argument
                    && !parameters.get(k).array()) {
                require(parameters.get(k), argument);
            }
        }
    }

    /** Returns the parameters of an entry; none if it is in a linked file. */
    private static List<Parameter> parameters(String file, String text, String entry) {
        try {
            return Parser.parse(file, text).entries().stream()
                    .filter(function -> function.name().equals(entry))
                    .findFirst()
                    .map(Function::parameters)
                    .orElse(List.of());
        } catch (PtxException unsupported) { // the assembler of a GPU may accept more
            return List.of();
        }
    }

    private static void require(Parameter parameter, KernelArgument argument) {
        List<String> numbers = numbers(parameter.type());
        boolean isAddress = numbers.contains("i64");
        String element = argument.element().name().toLowerCase(Locale.ROOT);
        if (numbers.isEmpty() || (argument.isBuffer() ? isAddress : numbers.contains(element))) {
            return;
        }
        throw new IllegalArgumentException("--arg " + argument.text() + " is for the parameter " + parameter.type()
                + " " + parameter.name() + ", which takes "
                + numbers.stream().map(name -> name + ":VALUE").collect(Collectors.joining(" or "))
                + (isAddress ? " or a buffer, such as in:f32:COUNT" : ""));
    }

    /** Returns the types of numbers for a parameter; empty for types that no number has. */
    private static List<String> numbers(Type type) {
        return switch (type) {
            case U64, S64, B64 -> List.of("i64");
            case U32, S32, B32 -> List.of("u32", "i32");
            case F32 -> List.of("f32");
            case F64 -> List.of("f64");
            case U16, S16, B16, F16, BF16 -> List.of("f16", "bf16");
            case U8, S8, B8 -> List.of("u8");
            default -> List.of();
        };
    }
}
