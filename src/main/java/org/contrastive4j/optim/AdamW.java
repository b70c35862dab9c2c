package org.contrastive4j.optim;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.Tensor;

/**
 * AdamW over named parameters: decoupled weight decay on those that decay, nothing on those that are frozen.
 *
 * <p>Source: Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.
 */
public final class AdamW implements AutoCloseable {
    /** Settings that stay for a run. */
    public record Config(double beta1, double beta2, double epsilon, double weightDecay) {
        public Config {
            if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && epsilon > 0 && weightDecay >= 0)) {
                throw new IllegalArgumentException("AdamW with beta1 " + beta1 + ", beta2 " + beta2 + ", epsilon "
                        + epsilon + ", weight decay " + weightDecay
                        + ": wanted 0 <= beta < 1, a positive epsilon and no negative decay");
            }
        }
    }

    private static final int CHANGING = 4; // numbers

    private final Ops ops;
    private final Config config;
    private final List<Parameter> parameters;
    private final Map<String, Tensor> first = new LinkedHashMap<>();
    private final Map<String, Tensor> second = new LinkedHashMap<>();
    private final List<Tensor> numbers = new ArrayList<>();
    private final Tensor decaying; // what changes from step to step, where updates can be recorded
    private final Tensor others;
    private double learningRate;
    private double gradientScale;
    private int step;

    public AdamW(Ops ops, List<Parameter> parameters, Config config) {
        this.ops = ops;
        this.config = config;
        this.parameters = List.copyOf(parameters);
        Set<String> names = new HashSet<>();
        for (Parameter parameter : parameters) {
            if (!names.add(parameter.name())) {
                throw new IllegalArgumentException("two parameters are named " + parameter.name());
            }
        }
        try {
            for (Parameter parameter : parameters) {
                first.put(parameter.name(), ops.zeroParameter(parameter.shape()));
                second.put(parameter.name(), ops.zeroParameter(parameter.shape()));
            }
            decaying = ops.canCapture() ? keep(ops.allocateParameter(CHANGING)) : null;
            others = ops.canCapture() ? keep(ops.allocateParameter(CHANGING)) : null;
        } catch (RuntimeException noMemory) {
            close();
            throw noMemory;
        }
    }

    /**
     * One update of every parameter that is not frozen, from its accumulated gradient times {@code gradientScale}.
     *
     * @param learningRate of this step
     * @param gradientScale from {@link GlobalNorm#clip}, over the loss scale where there is one
     */
    public void step(double learningRate, double gradientScale) {
        int before = step;
        advance(learningRate, gradientScale);
        try {
            apply();
        } catch (RuntimeException | Error failed) {
            step = before;
            throw failed;
        }
    }

    /**
     * The first half of {@link #step}: the numbers of the coming update, sent to where updates read them. Counts
     * it; who then fails to {@link #apply} it takes that back by {@link #restoreSteps}.
     */
    public void advance(double newRate, double newScale) {
        if (!(newRate >= 0 && Double.isFinite(newRate) && Double.isFinite(newScale))) {
            throw new IllegalArgumentException("learning rate " + newRate + ", gradient scale " + newScale
                    + ": wanted finite numbers, and a rate of 0 or more");
        }
        learningRate = newRate;
        gradientScale = newScale;
        step++;
        if (decaying != null) {
            try {
                ops.send(settings(true).changing(), decaying);
                ops.send(settings(false).changing(), others);
            } catch (RuntimeException | Error failed) {
                step--;
                throw failed;
            }
        }
    }

    /** The second half: the same operations each time, so that they can be recorded. */
    public void apply() {
        for (Parameter parameter : parameters) {
            if (!parameter.isFrozen()) {
                ops.update()
                        .adamW(
                                settings(parameter.decays()),
                                parameter.value(),
                                parameter.gradient(),
                                first.get(parameter.name()),
                                second.get(parameter.name()));
            }
        }
    }

    private UpdateOps.AdamW settings(boolean decays) {
        return new UpdateOps.AdamW(
                learningRate,
                config.beta1(),
                config.beta2(),
                config.epsilon(),
                decays ? config.weightDecay() : 0,
                gradientScale,
                step,
                decays ? decaying : others);
    }

    private Tensor keep(Tensor tensor) {
        numbers.add(tensor);
        return tensor;
    }

    /** Updates made so far. */
    public int steps() {
        return step;
    }

    /** Continues after this many updates; the state tensors are set by the caller. */
    public void restoreSteps(int steps) {
        step = steps;
    }

    /** The state to save and restore: first and second moments by {@code m.name} and {@code v.name}. */
    public Map<String, Tensor> state() {
        Map<String, Tensor> state = new LinkedHashMap<>();
        first.forEach((name, tensor) -> state.put("m." + name, tensor));
        second.forEach((name, tensor) -> state.put("v." + name, tensor));
        return state;
    }

    @Override
    public void close() {
        first.values().forEach(Tensor::close);
        second.values().forEach(Tensor::close);
        numbers.forEach(Tensor::close);
    }
}
