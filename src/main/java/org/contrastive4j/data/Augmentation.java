package org.contrastive4j.data;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Random changes to a pair that leave its meaning. Every draw depends only on (seed, epoch, sample id), so the bits of
 * a batch depend neither on the number of threads nor on where a run was resumed.
 *
 * <p>The first six settings are for icons: an affine map, a mixture of colours and a grey square. The last four are
 * those of open_clip for photographs, applied before them: a random crop of the original picture that is resampled to
 * the input size, colour jitter, grey, and a flip, which is off by default because it mirrors text in pictures.
 *
 * <p>Source: torchvision, RandomResizedCrop, ColorJitter and RandomGrayscale on Pillow pictures; open_clip,
 * AugmentationCfg.
 *
 * @param shift largest shift, as a share of the side
 * @param zoom largest relative change of size, each axis for itself by up to half of it more
 * @param rotation largest angle in degrees
 * @param colour largest change of each entry of the matrix that mixes red, green and blue; white stays white
 * @param cutout largest side of a grey square put over the picture, as a share of the side
 * @param wordDropout probability of leaving out each word of the caption; one word always stays
 * @param crop random crop of the original picture; null to resize and crop its centre
 * @param jitter changes of brightness, contrast, saturation and hue; null for none
 * @param greyProbability probability of turning the picture grey
 * @param flipProbability probability of mirroring the picture left to right
 */
public record Augmentation(
        double shift,
        double zoom,
        double rotation,
        double colour,
        double cutout,
        double wordDropout,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable RandomResizedCrop crop,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable ColorJitter jitter,
        double greyProbability,
        double flipProbability) {
    private static final Augmentation NONE = new Augmentation(0, 0, 0, 0, 0, 0);
    private static final Augmentation EMOJI = new Augmentation(0.08, 0.12, 8, 0.15, 0.4, 0.4);
    private static final Augmentation CLIP = NONE.with(RandomResizedCrop.CLIP);

    /**
     * The part of the original picture that becomes the input.
     *
     * @param minScale smallest share of the picture's area
     * @param maxScale largest share of the picture's area, at most 1
     * @param minRatio smallest ratio of width to height
     * @param maxRatio largest ratio of width to height
     */
    public record RandomResizedCrop(double minScale, double maxScale, double minRatio, double maxRatio) {
        /** The ranges of CLIP: 0.9 to 1 of the area, ratios of 3 / 4 to 4 / 3. */
        public static final RandomResizedCrop CLIP = new RandomResizedCrop(0.9, 1, 3 / 4.0, 4 / 3.0);

        /**
         * Checks the ranges.
         *
         * @param minScale smallest share of the picture's area
         * @param maxScale largest share of the picture's area, at most 1
         * @param minRatio smallest ratio of width to height
         * @param maxRatio largest ratio of width to height
         * @throws IllegalArgumentException when a range is empty or out of bounds
         */
        public RandomResizedCrop {
            if (!(minScale > 0 && minScale <= maxScale && maxScale <= 1)) {
                throw new IllegalArgumentException(
                        "crop of " + minScale + " to " + maxScale + " of the area: expected 0 < least <= largest <= 1");
            }
            if (!(minRatio > 0 && minRatio <= maxRatio && Double.isFinite(maxRatio))) {
                throw new IllegalArgumentException("crop with ratios of " + minRatio + " to " + maxRatio
                        + ": expected 0 < least <= largest, finite");
            }
        }
    }

    /**
     * Changes of colour, in random order, with factors drawn from [1 - x, 1 + x], not below 0.
     *
     * @param brightness x of the factor that the picture is multiplied by
     * @param contrast x of the factor of the distance from the mean grey
     * @param saturation x of the factor of the distance from the picture in grey
     * @param hue largest rotation of the hue, as a share of the circle, at most 0.5
     * @param probability probability of the changes
     */
    public record ColorJitter(double brightness, double contrast, double saturation, double hue, double probability) {
        /**
         * Checks the settings.
         *
         * @param brightness x of the factor that the picture is multiplied by
         * @param contrast x of the factor of the distance from the mean grey
         * @param saturation x of the factor of the distance from the picture in grey
         * @param hue largest rotation of the hue, as a share of the circle, at most 0.5
         * @param probability probability of the changes
         * @throws IllegalArgumentException when one is out of range
         */
        public ColorJitter {
            boolean valid = brightness >= 0 && contrast >= 0 && saturation >= 0 && hue >= 0 && hue <= 0.5;
            if (!valid || !Double.isFinite(brightness + contrast + saturation) || !isProbability(probability)) {
                throw new IllegalArgumentException("colour jitter with brightness " + brightness + ", contrast "
                        + contrast + ", saturation " + saturation + ", hue " + hue + ", probability " + probability
                        + ": expected finite values of 0 or more, hue at most 0.5, a probability from 0 to 1");
            }
        }
    }

    /**
     * Checks the settings.
     *
     * @param shift largest shift, as a share of the side
     * @param zoom largest relative change of size
     * @param rotation largest angle in degrees
     * @param colour largest change of each entry of the matrix that mixes red, green and blue
     * @param cutout largest side of a grey square put over the picture, as a share of the side
     * @param wordDropout probability of leaving out each word of the caption
     * @param crop random crop of the original picture; null to resize and crop its centre
     * @param jitter changes of brightness, contrast, saturation and hue; null for none
     * @param greyProbability probability of turning the picture grey
     * @param flipProbability probability of mirroring the picture left to right
     * @throws IllegalArgumentException when one is out of range
     */
    @JsonCreator
    public Augmentation {
        if (shift < 0
                || zoom < 0
                || zoom >= 1
                || rotation < 0
                || colour < 0
                || cutout < 0
                || cutout > 1
                || wordDropout < 0
                || wordDropout >= 1) {
            throw new IllegalArgumentException("augmentation with shift " + shift + ", zoom " + zoom + ", rotation "
                    + rotation + ", colour " + colour + ", cutout " + cutout + ", word dropout " + wordDropout
                    + ": expected 0 or more, zoom and word dropout below 1, cutout at most 1");
        }
        if (!isProbability(greyProbability) || !isProbability(flipProbability)) {
            throw new IllegalArgumentException("augmentation with probability " + greyProbability + " of grey and "
                    + flipProbability + " of a flip: expected 0 to 1");
        }
    }

    /**
     * Creates an augmentation for icons: no crop of the original picture, no jitter, no grey, no flip.
     *
     * @param shift largest shift, as a share of the side
     * @param zoom largest relative change of size
     * @param rotation largest angle in degrees
     * @param colour largest change of each entry of the matrix that mixes red, green and blue
     * @param cutout largest side of a grey square put over the picture, as a share of the side
     * @param wordDropout probability of leaving out each word of the caption
     */
    public Augmentation(double shift, double zoom, double rotation, double colour, double cutout, double wordDropout) {
        this(shift, zoom, rotation, colour, cutout, wordDropout, null, null, 0, 0);
    }

    private static boolean isProbability(double value) {
        return value >= 0 && value <= 1;
    }

    /**
     * Returns the augmentation that leaves everything as it is.
     *
     * @return "none"
     */
    public static Augmentation none() {
        return NONE;
    }

    /**
     * Returns the augmentation of the default run on emoji.
     *
     * @return "emoji"
     */
    public static Augmentation emoji() {
        return EMOJI;
    }

    /**
     * Returns the augmentation that CLIP was trained with, the default of open_clip: {@link RandomResizedCrop#CLIP},
     * unchanged colours and captions.
     *
     * @return "clip"
     */
    public static Augmentation clip() {
        return CLIP;
    }

    /**
     * Returns the augmentation of a name.
     *
     * @param name "none", "emoji" or "clip"
     * @return the augmentation
     * @throws IllegalArgumentException for another name
     */
    public static Augmentation named(String name) {
        return switch (name) {
            case "none" -> NONE;
            case "emoji" -> EMOJI;
            case "clip" -> CLIP;
            default ->
                throw new IllegalArgumentException(
                        "augmentation \"" + name + "\" is unknown, expected clip, emoji or none");
        };
    }

    /**
     * Returns the name of this augmentation.
     *
     * @return "none", "emoji", "clip", or "custom" for other settings
     */
    public String name() {
        return equals(NONE) ? "none" : equals(EMOJI) ? "emoji" : equals(CLIP) ? "clip" : "custom";
    }

    /**
     * Returns this augmentation with another crop.
     *
     * @param other crop of the original picture; null to resize and crop its centre
     * @return a copy
     */
    public Augmentation with(@Nullable RandomResizedCrop other) {
        return new Augmentation(
                shift, zoom, rotation, colour, cutout, wordDropout, other, jitter, greyProbability, flipProbability);
    }

    /**
     * Returns this augmentation with other changes of colour and another flip.
     *
     * @param otherJitter changes of brightness, contrast, saturation and hue; null for none
     * @param otherGrey probability of turning the picture grey
     * @param otherFlip probability of mirroring the picture left to right
     * @return a copy
     */
    public Augmentation with(@Nullable ColorJitter otherJitter, double otherGrey, double otherFlip) {
        return new Augmentation(
                shift, zoom, rotation, colour, cutout, wordDropout, crop, otherJitter, otherGrey, otherFlip);
    }

    /**
     * Returns the settings in words, for reports.
     *
     * @return one line that begins with the name
     */
    public String description() {
        List<String> parts = new ArrayList<>();
        if (crop != null) {
            parts.add(String.format(
                    Locale.ROOT,
                    "random resized crop of %s to %s of the area with ratios of %.3f to %.3f",
                    crop.minScale,
                    crop.maxScale,
                    crop.minRatio,
                    crop.maxRatio));
        }
        if (jitter != null) {
            parts.add("with probability " + jitter.probability + " colour jitter of brightness " + jitter.brightness
                    + ", contrast " + jitter.contrast + ", saturation " + jitter.saturation + ", hue " + jitter.hue);
        }
        add(parts, "grey with probability ", greyProbability);
        add(parts, "horizontal flip with probability ", flipProbability);
        add(parts, "shift up to ", shift);
        add(parts, "zoom up to ", zoom);
        add(parts, "rotation in degrees up to ", rotation);
        add(parts, "mixture of colours up to ", colour);
        add(parts, "cutout up to ", cutout);
        add(parts, "dropout of words with probability ", wordDropout);
        return parts.isEmpty() ? name() : name() + ": " + String.join("; ", parts);
    }

    private static void add(List<String> parts, String what, double value) {
        if (value > 0) {
            parts.add(what + value);
        }
    }

    /** Returns whether pictures are changed before the affine map: only then are these random numbers drawn. */
    boolean isOfPhotos() {
        return crop != null || jitter != null || greyProbability > 0 || flipProbability > 0;
    }

    /** The words of the caption that stay, in order. */
    String caption(String caption, DataRandom random, int sample, int epoch) {
        if (wordDropout == 0) {
            return caption;
        }
        List<String> words = Tokenizer.words(caption);
        List<String> kept = new ArrayList<>();
        for (int w = 0; w < words.size(); w++) {
            if (random.uniform(DataRandom.TEXT, sample, epoch, w) >= wordDropout) {
                kept.add(words.get(w));
            }
        }
        if (kept.isEmpty() && !words.isEmpty()) {
            kept.add(words.get(0));
        }
        return String.join(" ", kept);
    }
}
