package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.contrastive4j.internal.sim.exec.Fault;
import org.jspecify.annotations.Nullable;

/**
 * Findings that are not to be reported: lines of {@code KIND KERNEL PLACE}, each a name with {@code *} for any text, of
 * which the last may be left out; {@code #} begins a comment.
 *
 * <p>The place is {@code file:line} of the PTX text or of the CUDA source.
 */
record Suppressions(List<Rule> rules) {
    record Rule(Pattern kind, Pattern kernel, Pattern place) {
        boolean matches(Fault fault) {
            Fault.Site site = fault.site();
            return kind.matcher(fault.kind().name()).matches()
                    && kernel.matcher(site.kernel()).matches()
                    && (place.matcher(site.file() + ":" + site.line()).matches()
                            || site.origin() != null
                                    && place.matcher(site.origin()).matches());
        }
    }

    /** @throws IllegalArgumentException naming the line that is no rule */
    static Suppressions read(@Nullable Path file) {
        List<Rule> rules = new ArrayList<>();
        if (file == null) {
            return new Suppressions(rules);
        }
        try {
            List<String> lines = Files.readAllLines(file);
            for (int i = 0; i < lines.size(); i++) {
                String line = lines.get(i).replaceFirst("#.*", "").strip();
                if (!line.isEmpty()) {
                    rules.add(rule(file + ":" + (i + 1), line.split("\\s+")));
                }
            }
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot read " + file + ": " + e.getMessage(), e);
        }
        return new Suppressions(List.copyOf(rules));
    }

    private static Rule rule(String where, String[] words) {
        if (words.length > 3) {
            throw new IllegalArgumentException(where + ": expected KIND KERNEL PLACE, got " + words.length + " words");
        }
        Pattern kind = glob(words[0]);
        boolean known = false;
        for (Fault.Kind one : Fault.Kind.values()) {
            known |= kind.matcher(one.name()).matches();
        }
        if (!known) {
            throw new IllegalArgumentException(where + ": there is no kind " + words[0] + " of faults");
        }
        return new Rule(kind, glob(words.length > 1 ? words[1] : "*"), glob(words.length > 2 ? words[2] : "*"));
    }

    private static Pattern glob(String text) {
        return Pattern.compile(String.join(
                ".*",
                List.of(text.split("\\*", -1)).stream().map(Pattern::quote).toList()));
    }

    boolean contains(Fault fault) {
        return rules.stream().anyMatch(rule -> rule.matches(fault));
    }
}
