package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.device.Occupancy;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Parser;
import org.contrastive4j.internal.parse.Program;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Reports registers, spills and occupancy of the kernels in PTX files, without a GPU.
 *
 * <p>Tested by {@code PtxCommandsTest}.
 */
@Command(
        name = "check",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = {
            "Assembles PTX files for every architecture that their target allows, and links them for the simulator.",
            "Exits with 1 when a file has an error, spills registers, or is serialised by the assembler (C75xx).",
            "The assembler of PTX 8.0 runs inside this process; in rare cases malformed text terminates it.",
            "Newer PTX needs ptxas of a CUDA toolkit."
        })
final class PtxCheckCommand implements Callable<Integer> {
    private static final List<Integer> ARCHITECTURES = List.of(80, 86, 89, 90);
    private static final String SERIALISED = "C75";
    /** PTX version of the assembler inside this process. */
    private static final int BUILT_IN_MAJOR = 8;

    private static final int BUILT_IN_MINOR = 0;

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "PTX file, with or without preprocessor lines")
    private List<Path> files;

    @Mixin
    private PtxSource source;

    @Option(
            names = "--block",
            paramLabel = "THREADS",
            description = "threads of a block, for the occupancy of kernels without .reqntid and .maxntid")
    private int block = 256;

    @Option(
            names = "--shared",
            paramLabel = "BYTES",
            description = "dynamic shared memory of a block, for the occupancy; default: N of a comment"
                    + " \"dynamic shared N bytes\" in the file, else 0",
            showDefaultValue = CommandLine.Help.Visibility.NEVER)
    private @Nullable Integer shared;

    @Option(
            names = "--ptxas",
            paramLabel = "PROGRAM",
            description = "assembler for .version 8.1 and newer; default: ptxas on the path",
            showDefaultValue = CommandLine.Help.Visibility.NEVER)
    private @Nullable Path ptxas;

    /** Messages with their targets: a message that several targets share is printed once. */
    private final Map<String, List<String>> complaints = new LinkedHashMap<>();

    @Override
    public Integer call() {
        if (block < 1 || block > 1024) {
            throw new IllegalArgumentException("--block is " + block + ", expected 1 to 1024 threads");
        }
        if (shared != null && shared < 0) {
            throw new IllegalArgumentException("--shared is " + shared + ", expected 0 or more bytes");
        }
        boolean good = true;
        for (Path file : files) {
            complaints.clear();
            good &= check(file);
        }
        return good ? 0 : 1;
    }

    private boolean check(Path file) {
        System.out.println(file + ":");
        System.out.flush();
        Table table = new Table(
                "kernel",
                "target",
                "registers",
                "spilled bytes",
                "static shared",
                "dynamic shared",
                "barriers",
                "block",
                "blocks",
                "warps");
        boolean good = true;
        try {
            for (PtxSource.Expanded expanded : source.read(file)) {
                good &= check(file, expanded, table);
            }
        } catch (PtxException e) {
            complain("error", String.valueOf(e.getMessage()));
            good = false;
        }
        if (!table.isEmpty()) {
            System.out.print(table);
        }
        complaints.forEach(
                (complaint, causes) -> System.out.println("  " + String.format(complaint, String.join(", ", causes))));
        return good;
    }

    /** Checks one instance of a file. */
    private boolean check(Path file, PtxSource.Expanded expanded, Table table) {
        int dynamic = shared != null ? shared : expanded.dynamicSharedBytes();
        try {
            // parse first: malformed text may terminate the process inside the assembler
            Program program = Parser.parse(file.toString(), expanded.text());
            boolean assembled = assemble(expanded.text(), program, dynamic, table);
            return link(expanded.text(), program) && assembled;
        } catch (PtxException e) {
            complain("error", String.valueOf(e.getMessage()));
            return false;
        }
    }

    private boolean assemble(String text, Program program, int dynamic, Table table) {
        boolean good = true;
        ExternalAssembler external = ptxas != null || isNewerThanBuiltIn(program)
                ? ExternalAssembler.find(ptxas, System.getenv("PATH"))
                : null;
        if (external == null && isNewerThanBuiltIn(program)) {
            complain(
                    "not assembled",
                    ".version " + program.version() + " is newer than the assembler of this program, which knows "
                            + BUILT_IN_MAJOR + "." + BUILT_IN_MINOR
                            + "; put ptxas of a CUDA toolkit on the path or name it with --ptxas");
            return false;
        }
        for (String target : targets(program)) {
            try {
                Assembly assembly = external != null
                        ? external.assemble(program, text, target)
                        : PtxAssembler.assemble(program.file(), text, target);
                for (Function entry : program.entries()) {
                    good &= row(table, entry, assembly, dynamic);
                }
                for (String advisory : assembly.advisories()) {
                    good &= !advisory.contains(SERIALISED);
                    complain("advisory", advisory, target);
                }
            } catch (PtxException e) {
                good = false;
                complain("error", String.valueOf(e.getMessage()), target);
            }
        }
        return good;
    }

    private static boolean isNewerThanBuiltIn(Program program) {
        String[] parts = program.version().split("\\.", -1);
        int major = Integer.parseInt(parts[0]);
        return major > BUILT_IN_MAJOR || major == BUILT_IN_MAJOR && Integer.parseInt(parts[1]) > BUILT_IN_MINOR;
    }

    private void complain(String kind, String message, String target) {
        List<String> targets =
                complaints.computeIfAbsent(kind + " (%s): " + message.replace("%", "%%"), key -> new ArrayList<>());
        if (!targets.contains(target)) {
            targets.add(target);
        }
    }

    private void complain(String kind, String message) {
        complaints.putIfAbsent(kind + ": " + message.replace("%", "%%"), List.of());
    }

    /**
     * Returns the targets to assemble for: code for sm_80 also runs on newer architectures, code for sm_90a does not.
     */
    private static List<String> targets(Program program) {
        List<String> targets =
                Character.isLetter(program.target().charAt(program.target().length() - 1))
                        ? List.of()
                        : ARCHITECTURES.stream()
                                .filter(architecture -> architecture >= program.architecture())
                                .map(architecture -> "sm_" + architecture)
                                .toList();
        return targets.isEmpty() ? List.of(program.target()) : targets;
    }

    /** Adds the row of a kernel; returns false when the kernel spills registers. */
    private boolean row(Table table, Function function, Assembly assembly, int dynamic) {
        Assembly.Entry entry = Objects.requireNonNull(assembly.entries().get(function.name()), function.name());
        int threads = Stream.of(".reqntid", ".maxntid")
                .map(function.directives()::get)
                .filter(sizes -> sizes != null)
                .findFirst()
                .map(sizes -> sizes.stream().reduce(1, (a, b) -> a * b))
                .orElse(block);
        int architecture = Integer.parseInt(assembly.architecture().replaceAll("[^0-9]", ""));
        int blocks = Occupancy.blocksPerMultiprocessor(
                architecture, entry.registers(), entry.staticSharedBytes() + dynamic, threads);
        int spilled = entry.spillStoreBytes() + entry.spillLoadBytes();
        table.add(
                function.name(),
                assembly.architecture(),
                entry.registers(),
                spilled,
                entry.staticSharedBytes(),
                dynamic,
                entry.barriers(),
                threads,
                blocks,
                blocks * ((threads + 31) / 32) + "/" + Occupancy.warpsPerMultiprocessor(architecture));
        return spilled == 0;
    }

    private boolean link(String text, Program program) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            PtxModule module = device.module(program.file(), text);
            module.kernels().forEach(module::kernel);
            complain("simulator", "all instructions are supported");
            return true;
        } catch (PtxException e) {
            complain("simulator", String.valueOf(e.getMessage()));
            return false;
        }
    }
}
