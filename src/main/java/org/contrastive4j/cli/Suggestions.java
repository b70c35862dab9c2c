package org.contrastive4j.cli;

import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Explains wrong command lines and suggests similar names for misspelt commands and options. */
final class Suggestions {
    private static final int MOST = 2;

    private Suggestions() {}

    /** Returns the message of an error. */
    static String message(ParameterException wrong) {
        if (wrong instanceof UnmatchedArgumentException unmatched) {
            return unmatched(unmatched);
        }
        List<String> unknown = wrong.getCommandLine().getUnmatchedArguments();
        return wrong instanceof MissingParameterException && !unknown.isEmpty() // a misspelt required option
                ? unmatched(new UnmatchedArgumentException(wrong.getCommandLine(), unknown))
                : inWords(String.valueOf(wrong.getMessage()));
    }

    /** Replaces names of Java types. */
    private static String inWords(String message) {
        return message.replaceAll("is not an? (int|long|Integer|Long)$", "is not a whole number")
                .replaceAll("is not an? (double|float|Double)$", "is not a number");
    }

    private static String unmatched(UnmatchedArgumentException wrong) {
        CommandLine command = wrong.getCommandLine();
        String first = wrong.getUnmatched().get(0); // the next one may be its value
        boolean isCommand = !first.startsWith("-") && !command.getSubcommands().isEmpty();
        String kind =
                first.startsWith("-") ? "unknown option " : isCommand ? "unknown command " : "unexpected argument ";
        List<String> similar = wrong.getSuggestions().stream().limit(MOST).toList();
        if (!similar.isEmpty()) {
            return kind + first + "; did you mean " + String.join(" or ", similar) + "?";
        }
        return kind
                + first
                + (isCommand
                        ? "; the commands are "
                                + String.join(", ", command.getSubcommands().keySet())
                        : "");
    }
}
