package org.contrastive4j.cli;

import java.util.Collection;
import java.util.List;
import picocli.CommandLine.ParseResult;

/** Rejects options that a command would ignore. */
final class IgnoredOptions {
    private IgnoredOptions() {}

    /**
     * Checks that none of some options is on the command line.
     *
     * @param reason text of the error after the names of the options
     * @throws IllegalArgumentException with the names of the given options
     */
    static void refuse(ParseResult given, Collection<String> names, String reason) {
        List<String> wrong = names.stream().filter(given::hasMatchedOption).toList();
        if (!wrong.isEmpty()) {
            throw new IllegalArgumentException(String.join(", ", wrong) + ": " + reason);
        }
    }
}
