package org.contrastive4j.cli;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.contrastive4j.autograd.Tape.AutogradException;
import org.contrastive4j.data.DataException;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.memory.MissingNativeLibraryException;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.Trainer;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;

/**
 * Entry point of the command line.
 *
 * <p>Tested by {@code CommandLineTest}.
 */
@Command(
        name = "contrastive4j",
        mixinStandardHelpOptions = true,
        description = "Contrastive training of image and text encoders, with the exact gradient of the whole batch.",
        subcommands = {
            TrainCommand.class,
            EvalCommand.class,
            SearchCommand.class,
            EmbedCommand.class,
            ZeroShotCommand.class,
            MergeCommand.class,
            VerifyGradCacheCommand.class,
            CompareLossesCommand.class,
            ReportCommand.class,
            DevicesCommand.class,
            PtxCommand.class
        })
public final class Main {
    /** Exit code of an error that the user can correct. */
    static final int REFUSED = 2;

    private Main() {}

    /** Runs a command and ends the JVM with its exit code. */
    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    /** Runs a command; returns the exit code. */
    static int run(String... arguments) {
        System.setProperty("java.awt.headless", "true");
        CommandLine commandLine = commandLine();
        for (String argument : arguments) {
            if (argument.indexOf('\uFFFD') >= 0) {
                return undecodable(commandLine, argument);
            }
        }
        return arguments.length == 0 ? help(commandLine) : commandLine.execute(arguments);
    }

    /** Creates the commands with their options and error handlers. */
    static CommandLine commandLine() {
        CommandLine commandLine = new CommandLine(new Main())
                .setOverwrittenOptionsAllowed(true)
                .setCaseInsensitiveEnumValuesAllowed(true);
        commandLine.setExecutionExceptionHandler((failure, command, parsed) -> {
            if (isExplained(failure)) {
                command.getErr().println(command.getColorScheme().errorText("error: " + failure.getMessage()));
                return REFUSED;
            }
            throw failure;
        });
        commandLine.setParameterExceptionHandler((wrong, given) -> {
            CommandLine command = wrong.getCommandLine();
            command.getErr().println(command.getColorScheme().errorText("error: " + Suggestions.message(wrong)));
            command.getErr().println("see " + command.getCommandSpec().qualifiedName() + " --help");
            return REFUSED;
        });
        for (String name : List.of("train", "verify-gradcache", "compare-losses")) {
            CommandSpec command = Objects.requireNonNull(
                            commandLine.getSubcommands().get(name), name)
                    .getCommandSpec();
            command.usageMessage().footer(losses());
            command.mixins().values().stream()
                    .map(CommandSpec::userObject)
                    .filter(TrainOptions.class::isInstance)
                    .forEach(options -> ((TrainOptions) options).declare(command));
        }
        VerifyGradCacheCommand.hideReplaced(
                Objects.requireNonNull(commandLine.getSubcommands().get("verify-gradcache"))
                        .getCommandSpec());
        declareVersion(commandLine);
        return commandLine;
    }

    /** Reports an argument that has letters beyond the encoding of the locale, which Java replaces by U+FFFD. */
    private static int undecodable(CommandLine commandLine, String argument) {
        String locale = Stream.of("LC_ALL", "LC_CTYPE", "LANG")
                .filter(name ->
                        !Objects.requireNonNullElse(System.getenv(name), "").isEmpty())
                .findFirst()
                .map(name -> name + "=" + System.getenv(name))
                .orElse("no LC_ALL, LC_CTYPE or LANG");
        commandLine
                .getErr()
                .println(commandLine
                        .getColorScheme()
                        .errorText("error: the argument \"" + argument + "\" has letters that the locale (" + locale
                                + ") cannot express; set LC_ALL=C.UTF-8, or another locale in UTF-8"));
        return REFUSED;
    }

    /** Lets --version of a command and its subcommands print the name and version of the program. */
    private static void declareVersion(CommandLine command) {
        command.getCommandSpec().version("contrastive4j " + version());
        command.getSubcommands().values().forEach(Main::declareVersion);
    }

    /** Returns the version in the manifest of the jar. */
    private static String version() {
        return Objects.requireNonNullElse(Main.class.getPackage().getImplementationVersion(), "development build");
    }

    /** Returns a line for each value of --loss and --losses. */
    private static String[] losses() {
        Stream<String> lines =
                Losses.allNames().stream().map(name -> String.format("  %-22s %s", name, Losses.description(name)));
        return Stream.concat(Stream.of("", "Losses:"), lines).toArray(String[]::new);
    }

    private static int help(CommandLine commandLine) {
        commandLine.usage(System.out);
        return REFUSED;
    }

    /** Returns whether the message explains the failure to the user. Others are defects and print their stack trace. */
    private static boolean isExplained(Throwable failure) {
        return failure instanceof DataException
                || failure instanceof CheckpointException
                || failure instanceof PretrainedException
                || failure instanceof RunFolder.RunFolderException
                || failure instanceof Trainer.TrainingStoppedException
                || failure instanceof OutOfBudgetException
                || failure instanceof MissingNativeLibraryException
                || failure instanceof IllegalArgumentException
                || failure instanceof DeviceException
                || failure instanceof PtxException
                || (failure instanceof AutogradException && failure.getCause() instanceof OutOfBudgetException);
    }
}
