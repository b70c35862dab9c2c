package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.internal.safetensors.SafetensorsException;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Low-rank adapters of a {@link PretrainedModel}, saved and read as PEFT does: {@code adapter_config.json} and {@code
 * adapter_model.safetensors}. The base weights are frozen.
 *
 * <p>A layer that computes query, key and value in one product takes adapters for each by its separate name.
 */
public final class LoraAdapter {
    private static final String CONFIG = "adapter_config.json";
    private static final String WEIGHTS = "adapter_model.safetensors";
    private static final String PREFIX = "base_model.model.";

    private final LowRankConfig config;
    private final JsonNode targets;
    private final Map<String, Parameter> tensors; // by PEFT's names

    private LoraAdapter(LowRankConfig config, JsonNode targets, Map<String, Parameter> tensors) {
        this.config = config;
        this.targets = targets;
        this.tensors = tensors;
    }

    /**
     * Adds new adapters to a model: A is random, B is zero, so the output stays what it is.
     *
     * @param ops backend of the model
     * @param targets names of layers: q, k, v, out, up, down, or modules of Hugging Face transformers
     * @param seed of the initial values of A
     * @param model receives the adapters
     * @param config rank, scale and dropout
     * @return the adapters
     * @throws PretrainedException when a name selects nothing
     * @throws IllegalArgumentException when the rank exceeds the width of a layer
     */
    public static LoraAdapter add(
            Ops ops, PretrainedModel model, LowRankConfig config, List<String> targets, long seed) {
        Map<String, String> modules = LoraTargets.named(model.encoder().adaptable(), targets);
        TreeSet<String> ends = new TreeSet<>();
        modules.values().forEach(module -> ends.add(module.substring(module.lastIndexOf('.') + 1)));
        boolean all = LoraTargets.named(model.encoder().adaptable(), List.copyOf(ends))
                .equals(modules);
        return attach(ops, model, config, Json.MAPPER.valueToTree(all ? ends : modules.values()), modules, seed);
    }

    private static LoraAdapter attach(
            Ops ops,
            PretrainedModel model,
            LowRankConfig config,
            JsonNode targets,
            Map<String, String> modules,
            long seed) {
        model.encoder().parameters().forEach(parameter -> parameter.freeze(true));
        List<Parameter> made = model.encoder().adapt(ops, config, modules::containsKey, seed);
        Map<String, Parameter> tensors = new TreeMap<>();
        for (Parameter parameter : made) {
            int end = parameter.name().lastIndexOf('.');
            tensors.put(
                    PREFIX + modules.get(parameter.name().substring(0, end))
                            + parameter.name().substring(end) + ".weight",
                    parameter);
        }
        return new LoraAdapter(config, targets, tensors);
    }

    /**
     * Adds the adapters of a folder to a model.
     *
     * @param ops backend of the model
     * @param model receives the adapters
     * @param folder with adapter_config.json and adapter_model.safetensors
     * @return the adapters
     * @throws PretrainedException when the folder is damaged, of another method, or made for another model
     */
    public static LoraAdapter load(Ops ops, PretrainedModel model, Path folder) {
        for (String name : List.of(CONFIG, WEIGHTS)) {
            if (!Files.isRegularFile(folder.resolve(name))) {
                throw new PretrainedException(folder + " has no " + name + ": expected the folder of a LoRA adapter,"
                        + " with " + CONFIG + " and " + WEIGHTS);
            }
        }
        Json json = Json.read(folder.resolve(CONFIG));
        if (!json.text("peft_type", "LORA").equals("LORA")) {
            throw json.wrong("peft_type", json.text("peft_type", ""), "LORA");
        }
        for (String flag : List.of("fan_in_fan_out", "use_dora", "lora_bias")) {
            if (json.flag(flag, false)) {
                throw json.wrong(flag, true, "false: adapters with it are not read");
            }
        }
        for (String field : List.of("modules_to_save", "rank_pattern", "alpha_pattern")) {
            if (!json.node().path(field).isEmpty()) {
                throw json.wrong(field, json.node().path(field), "nothing: adapters with it are not read");
            }
        }
        if (!json.text("bias", "none").equals("none")) {
            throw json.wrong("bias", json.text("bias", ""), "none");
        }
        LowRankConfig config = new LowRankConfig(
                json.integer("r", 8),
                json.number("lora_alpha", 8),
                json.number("lora_dropout", 0),
                json.flag("use_rslora", false));
        JsonNode targets = json.node().path("target_modules");
        Map<String, String> modules = LoraTargets.ofPeft(model.encoder().adaptable(), targets);
        try (SafetensorsFile file = SafetensorsFile.open(folder.resolve(WEIGHTS))) {
            checkWidths(model, modules, file, config, folder);
            LoraAdapter adapter = attach(ops, model, config, targets, modules, 0);
            adapter.tensors.forEach((name, parameter) -> read(file, name, parameter.value()));
            return adapter;
        } catch (SafetensorsException e) {
            throw new PretrainedException(String.valueOf(e.getMessage()), e);
        }
    }

    private static void checkWidths(
            PretrainedModel model,
            Map<String, String> modules,
            SafetensorsFile file,
            LowRankConfig config,
            Path folder) {
        Map<String, int[]> expected = new LinkedHashMap<>();
        modules.forEach((layer, module) -> {
            int[] widths = model.layerWidths(layer);
            expected.put(PREFIX + module + ".lora_A.weight", new int[] {config.rank(), widths[0]});
            expected.put(PREFIX + module + ".lora_B.weight", new int[] {widths[1], config.rank()});
        });
        List<String> problems = new ArrayList<>();
        expected.forEach((name, shape) -> {
            Entry entry = file.entries().get(name);
            if (entry == null) {
                problems.add(name + " is missing");
            } else if (!Arrays.equals(entry.shape(), shape)) {
                problems.add(name + " is " + entry + ", expected shape " + Arrays.toString(shape));
            } else if (Elements.dtype(entry.dtype()) == null) {
                problems.add(name + " is " + entry + ", expected F32, F16 or BF16");
            }
        });
        file.entries().keySet().stream()
                .filter(name -> !expected.containsKey(name))
                .forEach(name -> problems.add(name + " belongs to no adapted layer of this model"));
        if (!problems.isEmpty()) {
            throw new PretrainedException("the adapter in " + folder + " was made for another model than the one in "
                    + model.source() + ":\n  " + String.join("\n  ", problems));
        }
    }

    private static void read(SafetensorsFile file, String name, Tensor target) {
        Entry entry = Objects.requireNonNull(file.entries().get(name)); // see checkWidths
        DType dtype = Objects.requireNonNull(Elements.dtype(entry.dtype()));
        ByteBuffer bytes = Elements.buffer(Math.toIntExact(entry.end() - entry.begin()));
        file.read(entry, 0, bytes);
        float[] values = new float[(int) entry.size()];
        int wrong = Elements.decode(bytes, dtype, values, values.length);
        if (wrong >= 0) {
            throw new PretrainedException(
                    file.path() + ": " + name + " has " + values[wrong] + ", expected finite weights");
        }
        target.set(values);
    }

    /**
     * Returns rank, scale and dropout.
     *
     * @return as given or read
     */
    public LowRankConfig config() {
        return config;
    }

    /**
     * Returns the trainable matrices, A and B of each layer.
     *
     * @return A and B of each layer in a fixed order
     */
    public List<Parameter> parameters() {
        return List.copyOf(tensors.values());
    }

    /**
     * Writes the adapters as PEFT reads them.
     *
     * @param folder created where it does not exist
     * @param base name or path of the base model, for {@code base_model_name_or_path}
     */
    public void save(Path folder, String base) {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("base_model_name_or_path", base);
        json.put("bias", "none");
        json.put("fan_in_fan_out", false);
        json.put("inference_mode", true);
        json.put("init_lora_weights", true);
        json.put("lora_alpha", config.alpha());
        json.put("lora_dropout", config.dropout());
        json.putNull("modules_to_save");
        json.put("peft_type", "LORA");
        json.put("r", config.rank());
        json.set("target_modules", targets);
        json.putNull("task_type");
        json.put("use_rslora", config.rankStabilized());
        try {
            Files.createDirectories(folder);
            Files.write(
                    folder.resolve(CONFIG),
                    Json.MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(json));
            AdapterFile.write(folder.resolve(WEIGHTS), tensors);
        } catch (IOException e) {
            throw new PretrainedException("cannot write the adapter to " + folder + ": " + FileErrors.reason(e), e);
        }
    }
}
