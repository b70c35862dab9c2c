package org.contrastive4j.cli;

import picocli.CommandLine.Command;

/** Groups the commands for authors of PTX files. */
@Command(
        name = "ptx",
        mixinStandardHelpOptions = true,
        description = "Checks, expands and runs PTX files.",
        subcommands = {PtxCheckCommand.class, PtxExpandCommand.class, PtxRunCommand.class, PtxLoadCommand.class})
final class PtxCommand {}
