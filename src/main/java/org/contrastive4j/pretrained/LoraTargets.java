package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;

/** Which layers low-rank adapters are added to, by the module names of Hugging Face transformers. */
final class LoraTargets {
    private static final Map<String, String> SHORT_NAMES =
            Map.of("q", "q_proj", "k", "k_proj", "v", "v_proj", "out", "out_proj", "up", "fc1", "down", "fc2");

    private LoraTargets() {}

    /**
     * The layers that names select as PEFT does: by the whole name of a module, or the end of it after a dot. Short
     * names q, k, v, out, up and down are those of the layers of a block.
     *
     * @return the module of each selected layer, by the layer's name
     * @throws PretrainedException when a name selects nothing
     */
    static Map<String, String> named(List<String> adaptable, List<String> targets) {
        Map<String, String> modules = TensorNames.huggingFaceModules(adaptable);
        Map<String, String> selected = new LinkedHashMap<>();
        for (String target : targets) {
            String name = SHORT_NAMES.getOrDefault(target, target);
            int before = selected.size();
            modules.forEach((layer, module) -> {
                if (module.equals(name) || module.endsWith("." + name)) {
                    selected.put(layer, module);
                }
            });
            if (selected.size() == before) {
                throw new PretrainedException(
                        "LoRA target " + target + " names no layer of this model; expected some of "
                                + SHORT_NAMES.keySet().stream().sorted().toList() + " or a module such as "
                                + modules.values().iterator().next());
            }
        }
        return selected;
    }

    /** The layers that {@code target_modules} of PEFT selects: names, or a regular expression for whole modules. */
    static Map<String, String> ofPeft(List<String> adaptable, JsonNode targets) {
        if (targets.isArray()) {
            List<String> names = new ArrayList<>();
            targets.forEach(name -> names.add(name.asText()));
            return named(adaptable, names);
        }
        Map<String, String> selected = new LinkedHashMap<>();
        try {
            Pattern pattern = Pattern.compile(targets.asText());
            TensorNames.huggingFaceModules(adaptable).forEach((layer, module) -> {
                if (pattern.matcher(module).matches()) {
                    selected.put(layer, module);
                }
            });
        } catch (PatternSyntaxException e) {
            throw new PretrainedException(
                    "target_modules is " + targets + ", expected names or a regular expression", e);
        }
        return selected;
    }
}
