package org.contrastive4j.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.Augmentation.ColorJitter;
import org.contrastive4j.data.Augmentation.RandomResizedCrop;
import org.contrastive4j.train.TrainConfig;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * Options of the random changes of pictures and captions: a named augmentation, and changes of it.
 *
 * <p>Tested by {@code CommandsTest}.
 */
final class AugmentationOptions {
    static final String NAME = "--augmentation";

    /** Name of an augmentation that other options than {@link #NAME} have changed. */
    static final String CUSTOM = "custom";

    @Option(
            names = NAME,
            paramLabel = "<name>",
            description = "random changes of pictures and captions: clip (random resized crop of the original picture "
                    + "with CLIP's ranges), emoji (affine map, mixed colours, cutout, dropout of words) or none; "
                    + "default: emoji for the default data, clip for other data, none with --from")
    @Nullable
    String name;

    @Option(names = "--no-augmentation", description = "train on unchanged pictures and captions")
    boolean none;

    @Option(
            names = "--crop-scale",
            description = "random resized crop of at least this share of the area; CLIP's value is 0.9")
    @Nullable
    Double cropScale;

    @Option(
            names = "--crop-ratio",
            description = "largest ratio of the longer to the shorter side of the crop; CLIP's value is 4 / 3")
    @Nullable
    Double cropRatio;

    @Option(names = "--brightness", description = "colour jitter: brightness factors of 1 plus or minus this value")
    @Nullable
    Double brightness;

    @Option(names = "--contrast", description = "colour jitter: contrast factors of 1 plus or minus this value")
    @Nullable
    Double contrast;

    @Option(names = "--saturation", description = "colour jitter: saturation factors of 1 plus or minus this value")
    @Nullable
    Double saturation;

    @Option(names = "--hue", description = "colour jitter: largest rotation of the hue, 0 to 0.5 of the circle")
    @Nullable
    Double hue;

    @Option(names = "--jitter-probability", description = "probability of colour jitter; default: 1")
    @Nullable
    Double jitterProbability;

    @Option(names = "--grey-probability", description = "probability of turning a picture grey; default: 0")
    @Nullable
    Double greyProbability;

    @Option(
            names = "--flip-probability",
            description = "probability of mirroring a picture left to right, which mirrors text too; default: 0")
    @Nullable
    Double flipProbability;

    /**
     * Returns the augmentation that the options describe.
     *
     * @param usual the augmentation without options
     */
    Augmentation augmentation(Augmentation usual) {
        if (none && name != null && !name.equals(Augmentation.none().name())) {
            throw new IllegalArgumentException(
                    NAME + " " + name + " contradicts --no-augmentation; give one of the two");
        }
        Augmentation base = none ? Augmentation.none() : name != null ? Augmentation.named(name) : usual;
        if (cropScale != null || cropRatio != null) {
            RandomResizedCrop crop = RandomResizedCrop.CLIP;
            double ratio = cropRatio != null ? cropRatio : crop.maxRatio();
            base = base.with(
                    new RandomResizedCrop(cropScale != null ? cropScale : crop.minScale(), 1, 1 / ratio, ratio));
        }
        return base.with(jitter(base.jitter()), or(greyProbability, 0), or(flipProbability, 0));
    }

    private @Nullable ColorJitter jitter(@Nullable ColorJitter usual) {
        boolean given = brightness != null || contrast != null || saturation != null || hue != null;
        if (!given && jitterProbability != null) {
            throw new IllegalArgumentException("--jitter-probability has no effect without --brightness, --contrast, "
                    + "--saturation or --hue; give one of them");
        }
        return given
                ? new ColorJitter(
                        or(brightness, 0), or(contrast, 0), or(saturation, 0), or(hue, 0), or(jitterProbability, 1))
                : usual;
    }

    private static double or(@Nullable Double value, double usual) {
        return value != null ? value : usual;
    }

    /** Returns the options, each with a function that returns its value in a configuration. */
    static Map<String, Function<TrainConfig, @Nullable Object>> fixed() {
        Map<String, Function<TrainConfig, @Nullable Object>> fixed = new LinkedHashMap<>();
        fixed.put(NAME, run -> run.augmentation().name());
        fixed.put("--no-augmentation", run -> run.augmentation().equals(Augmentation.none()));
        fixed.put("--crop-scale", run -> ofCrop(run, RandomResizedCrop::minScale));
        fixed.put("--crop-ratio", run -> ofCrop(run, RandomResizedCrop::maxRatio));
        fixed.put("--brightness", run -> ofJitter(run, ColorJitter::brightness));
        fixed.put("--contrast", run -> ofJitter(run, ColorJitter::contrast));
        fixed.put("--saturation", run -> ofJitter(run, ColorJitter::saturation));
        fixed.put("--hue", run -> ofJitter(run, ColorJitter::hue));
        fixed.put("--jitter-probability", run -> ofJitter(run, ColorJitter::probability));
        fixed.put("--grey-probability", run -> run.augmentation().greyProbability());
        fixed.put("--flip-probability", run -> run.augmentation().flipProbability());
        return fixed;
    }

    private static @Nullable Object ofCrop(TrainConfig run, Function<RandomResizedCrop, Double> value) {
        RandomResizedCrop crop = run.augmentation().crop();
        return crop == null ? null : value.apply(crop);
    }

    private static @Nullable Object ofJitter(TrainConfig run, Function<ColorJitter, Double> value) {
        ColorJitter jitter = run.augmentation().jitter();
        return jitter == null ? null : value.apply(jitter);
    }
}
