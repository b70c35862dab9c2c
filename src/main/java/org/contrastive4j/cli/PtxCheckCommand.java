package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxException;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.device.Occupancy;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Parser;
import org.contrastive4j.internal.parse.Program;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Static facts of PTX files, without a GPU. */
@Command(
        name = "check",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = {
            "Assembles PTX files for every architecture their target allows, links them for the simulator.",
            "Exits with 1 when a file has an error, spills registers, or is serialised by the assembler (C75xx).",
            "The assembler runs inside this process and may end it on text that is wrong in rare ways."
        })
final class PtxCheckCommand implements Callable<Integer> {
    private static final List<Integer> ARCHITECTURES = List.of(80, 86, 89, 90);
    private static final String SERIALISED = "C75";

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "PTX, preprocessor lines allowed")
    private List<Path> files;

    @Mixin
    private PtxSource source;

    @Option(
            names = "--block",
            paramLabel = "THREADS",
            description = "threads of a block, for the occupancy of kernels that do not state .reqntid or .maxntid")
    private int block = 256;

    @Option(
            names = "--shared",
            paramLabel = "BYTES",
            description = "dynamic shared memory of a block, for the occupancy; by default what a comment of the file"
                    + " states as \"dynamic shared N bytes\", else 0",
            showDefaultValue = CommandLine.Help.Visibility.NEVER)
    private Integer shared;

    /** Where one thing was said for several architectures, it is said once. */
    private final Map<String, List<String>> complaints = new LinkedHashMap<>();

    @Override
    public Integer call() {
        if (block < 1 || block > 1024 || shared != null && shared < 0) {
            throw new IllegalArgumentException(
                    "--block " + block + " --shared " + shared + ": expected 1 to 1024 threads and 0 or more bytes");
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
            complain("error", e.getMessage());
            good = false;
        }
        if (!table.isEmpty()) {
            System.out.print(table);
        }
        complaints.forEach(
                (complaint, causes) -> System.out.println("  " + String.format(complaint, String.join(", ", causes))));
        return good;
    }

    /** One instance of a file. */
    private boolean check(Path file, PtxSource.Expanded expanded, Table table) {
        int dynamic = shared != null ? shared : expanded.dynamicSharedBytes();
        try {
            // first of all: what is no PTX could bring the assembler down
            Program program = Parser.parse(file.toString(), expanded.text());
            return assemble(expanded.text(), program, dynamic, table) & link(expanded.text(), program);
        } catch (PtxException e) {
            complain("error", e.getMessage());
            return false;
        }
    }

    private boolean assemble(String text, Program program, int dynamic, Table table) {
        boolean good = true;
        for (String target : targets(program)) {
            try {
                Assembly assembly = PtxAssembler.assemble(program.file(), text, target);
                for (Function entry : program.entries()) {
                    good &= row(table, entry, assembly, dynamic);
                }
                for (String advisory : assembly.advisories()) {
                    good &= !advisory.contains(SERIALISED);
                    complain("advisory", advisory, target);
                }
            } catch (PtxException e) {
                good = false;
                complain("error", e.getMessage(), target);
            }
        }
        return good;
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

    /** A target without a letter runs on itself and everything newer, one with a letter on itself alone. */
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

    /** Adds a kernel; false when it spills. */
    private boolean row(Table table, Function function, Assembly assembly, int dynamic) {
        Assembly.Entry entry = assembly.entries().get(function.name());
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
            complain("simulator", "all instructions are known");
            return true;
        } catch (PtxException e) {
            complain("simulator", e.getMessage());
            return false;
        }
    }
}
