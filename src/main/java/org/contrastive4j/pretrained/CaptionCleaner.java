package org.contrastive4j.pretrained;

import java.text.Normalizer;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Cleans captions as the tokenizers of CLIP and SigLIP do. CLIP: composed characters, straight quotes, HTML entities
 * resolved twice, runs of white space as one blank, lower case.
 *
 * <p>Limitations: of ftfy's repairs only composition and quotes, of HTML's names those of Latin-1 and of common
 * punctuation.
 *
 * <p>Tested by {@code SigLipTokenizerTest}.
 */
final class CaptionCleaner {
    private static final Pattern ENTITY = Pattern.compile("&(#[xX]?[0-9a-fA-F]+|[a-zA-Z]+[0-9]*);?");
    private static final Pattern SPACE = Pattern.compile("\\s+", Pattern.UNICODE_CHARACTER_CLASS);
    /** Python's string.punctuation. */
    private static final Pattern PUNCTUATION = Pattern.compile("[!-/:-@\\[-`{-~]");
    /** Names of U+00A0 to U+00FF in order. */
    private static final String LATIN_1 = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg"
            + " macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest"
            + " Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml"
            + " ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig"
            + " agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml"
            + " eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

    private static final Map<String, String> NAMES = names();

    private CaptionCleaner() {}

    private static Map<String, String> names() {
        Map<String, String> names = new HashMap<>(Map.of(
                "amp", "&", "lt", "<", "gt", ">", "quot", "\"", "apos", "'", "hellip", "\u2026", "ndash", "\u2013",
                "mdash", "\u2014", "bull", "\u2022", "euro", "\u20AC"));
        names.putAll(Map.of(
                "lsquo", "\u2018", "rsquo", "\u2019", "ldquo", "\u201C", "rdquo", "\u201D", "trade", "\u2122", "hearts",
                "\u2665", "star", "\u2606", "deg", "\u00B0", "AMP", "&", "QUOT", "\""));
        char letter = 0xA0;
        for (String name : LATIN_1.split(" ")) {
            names.put(name, String.valueOf(letter++));
        }
        return names;
    }

    /** Rules of cleaning captions before they are tokenized. */
    enum Cleaning {
        /** CLIP: composition, quotes, entities, white space, lower case. */
        CLIP,
        /** open_clip's {@code whitespace}: the same without lower case. */
        WHITE_SPACE,
        /** open_clip's {@code canonicalize}: composition, quotes, entities, no ASCII punctuation, lower case. */
        CANONICALIZE,
        /** transformers, SigLIP: no ASCII punctuation, lower case. */
        LOWER_CASE_WITHOUT_PUNCTUATION,
        /** transformers, SigLIP with {@code do_lower_case} false. */
        WITHOUT_PUNCTUATION,
        /** transformers, SigLIP 2: lower case. */
        LOWER_CASE;

        String apply(String text) {
            return switch (this) {
                case CLIP -> lower(spaced(basic(text)));
                case WHITE_SPACE -> spaced(basic(text));
                case CANONICALIZE ->
                    spaced(lower(
                            PUNCTUATION.matcher(basic(text).replace('_', ' ')).replaceAll("")));
                case LOWER_CASE_WITHOUT_PUNCTUATION ->
                    spaced(PUNCTUATION.matcher(lower(unmarked(text))).replaceAll(""));
                case WITHOUT_PUNCTUATION ->
                    spaced(PUNCTUATION.matcher(unmarked(text)).replaceAll(""));
                case LOWER_CASE -> lowerEachCharacter(text);
            };
        }
    }

    static String clean(String text) {
        return Cleaning.CLIP.apply(text);
    }

    /** Without SentencePiece's sign for a blank. */
    private static String unmarked(String text) {
        return text.replace('\u2581', ' ');
    }

    private static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    /** As the tokenizers library does: a final sigma is like any other. */
    private static String lowerEachCharacter(String text) {
        return text.codePoints()
                .mapToObj(character -> lower(Character.toString(character)))
                .collect(Collectors.joining());
    }

    private static String spaced(String text) {
        return SPACE.matcher(text).replaceAll(" ").strip();
    }

    private static String basic(String text) {
        String composed = Normalizer.normalize(text, Normalizer.Form.NFC)
                .replace('\u2018', '\'')
                .replace('\u2019', '\'')
                .replace('\u201C', '"')
                .replace('\u201D', '"');
        return unescape(unescape(composed));
    }

    static String unescape(String text) {
        if (text.indexOf('&') < 0) {
            return text;
        }
        Matcher matcher = ENTITY.matcher(text);
        StringBuilder plain = new StringBuilder();
        while (matcher.find()) {
            matcher.appendReplacement(plain, Matcher.quoteReplacement(entity(matcher.group(), matcher.group(1))));
        }
        return matcher.appendTail(plain).toString();
    }

    private static String entity(String whole, String name) {
        if (name.charAt(0) != '#') {
            String known = NAMES.get(name);
            return known == null ? whole : known;
        }
        try {
            boolean hex = name.length() > 1 && Character.toLowerCase(name.charAt(1)) == 'x';
            int code = hex ? Integer.parseInt(name.substring(2), 16) : Integer.parseInt(name.substring(1));
            return Character.isValidCodePoint(code) && code > 0 ? Character.toString(code) : "\uFFFD";
        } catch (NumberFormatException tooLong) {
            return whole;
        }
    }
}
