package org.contrastive4j.cli;

import picocli.CommandLine.Command;

/** What there is for people who write PTX. */
@Command(
        name = "ptx",
        mixinStandardHelpOptions = true,
        description = "Checks, expands and runs PTX files.",
        subcommands = {PtxCheckCommand.class, PtxExpandCommand.class, PtxRunCommand.class})
final class PtxCommand {}
