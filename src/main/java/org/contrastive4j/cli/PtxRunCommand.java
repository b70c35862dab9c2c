package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.DeviceLostException;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.check.Counts;
import org.contrastive4j.internal.sim.exec.Fault;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Launches one kernel of a PTX file.
 *
 * <p>Tested by {@code PtxCommandsTest}.
 */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        sortOptions = false,
        description = {
            "Launches a kernel of a PTX file, prints its output buffers and, in the simulator, its instructions.",
            "Exits with 1 when the kernel has a fault."
        },
        footerHeading = "%nArguments, one --arg for each parameter in order:%n",
        footer = {
            "  out:TYPE:COUNT[:FILL]  buffer, printed afterwards; uninitialised without FILL",
            "  in:TYPE:COUNT[:FILL]   buffer, not printed; zeros without FILL",
            "  in:TYPE[:COUNT]:@FILE  buffer with the values of a file, .npy or raw; out likewise",
            "  TYPE:VALUE             number, such as u32:7 or f32:1.5",
            "  struct:TYPE:VALUE,...  structure by value, members aligned as in C; bytes:HEX",
            "  map:N:TYPE:SIZES:BOX[:SWIZZLE]  tensor map of the buffer of argument N",
            "  TYPE   f32 f16 bf16 i32 u32 f64 i64 u8 (i64 also for .u64)",
            "  FILL   zero, iota (0 1 2 ...), a number for all elements, or random by",
            "         --seed: in [-1, 1), integers in [0, 100)",
            "%nExample:%n  ptx run add.ptx --grid 8 --block 128 --arg out:f32:1024",
            "      --arg in:f32:1024:iota --arg u32:1024"
        })
final class PtxRunCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FILE", description = "PTX file, with or without preprocessor lines")
    private Path file;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PtxSource source;

    @Mixin
    private FaultReport report;

    @Mixin
    private ModuleVariables variables;

    @Option(
            names = "--link",
            paramLabel = "FILE",
            showDefaultValue = Visibility.NEVER,
            description = "sim: further PTX files that define what this one declares as .extern")
    private List<Path> linked = List.of();

    @Option(
            names = "--cluster",
            paramLabel = "X[xY[xZ]]",
            showDefaultValue = Visibility.NEVER,
            description = "sim: blocks of a cluster, for a kernel that does not declare them")
    private @Nullable String cluster;

    @Option(
            names = "--save",
            paramLabel = "PARAMETER=FILE",
            showDefaultValue = Visibility.NEVER,
            description = "writes a buffer to a file afterwards, .npy or raw")
    private Map<String, Path> saved = Map.of();

    @Option(
            names = "--debug",
            description =
                    "sim: stop before the first instruction and read commands from standard input; help lists them")
    private boolean debug;

    @Option(names = "--entry", paramLabel = "NAME", description = "kernel; optional if the file has only one")
    private @Nullable String entry;

    @Option(names = "--grid", paramLabel = "X[xY[xZ]]", description = "blocks of the grid")
    private String grid = "1";

    @Option(names = "--block", paramLabel = "X[xY[xZ]]", description = "threads of a block")
    private String block = "32";

    @Option(names = "--shared", paramLabel = "BYTES", description = "dynamic shared memory of a block")
    private int shared = 0;

    @Option(names = "--cooperative", description = "cooperative launch: all blocks are resident at once")
    private boolean cooperative;

    @Option(
            names = "--arg",
            paramLabel = "ARGUMENT",
            showDefaultValue = Visibility.NEVER,
            description = "argument, once for each parameter; see below")
    private List<String> arguments = List.of();

    @Option(names = "--print", paramLabel = "COUNT", description = "elements of each out buffer that are printed")
    private int print = 8;

    @Option(
            names = "--device",
            completionCandidates = Candidates.Devices.class,
            paramLabel = "NAME",
            description = "sim, cuda, or cuda:1 for the second GPU")
    private String device = "sim";

    @Option(
            names = "--seed",
            paramLabel = "NUMBER",
            description = "seed of random buffers and of the simulator's schedule")
    private long seed = 0;

    @Option(
            names = "--faults",
            paramLabel = "SCHEDULES",
            description = "sim: number of seeds to run with, from --seed on; each distinct fault is reported once")
    private @Nullable Integer schedules;

    @Option(names = "--arch", paramLabel = "NUMBER", description = "sim: architecture 80, 86, 89 or 90; default: 90")
    private @Nullable Integer architecture;

    @Option(
            names = "--no-checks",
            description = "sim: do not check for races, uninitialised reads, missing fences and waits")
    private boolean withoutChecks;

    @Option(
            names = "--limit",
            paramLabel = "INSTRUCTIONS",
            description = "sim: largest number of warp instructions of a cluster of blocks")
    private @Nullable Long limit;

    @SuppressWarnings("NullAway.Init") // set by call
    private String text;

    @SuppressWarnings("NullAway.Init") // set by call
    private Launch launch;

    @SuppressWarnings("NullAway.Init") // set by call
    private List<LaunchArgument> parsed;

    /** Buffers of one launch. */
    private record Buffers(List<DeviceStorage> open) implements AutoCloseable {
        @Override
        public void close() {
            open.forEach(DeviceStorage::close);
        }
    }

    /** A fault, the first seed that shows it, and the number of seeds that show it. */
    private record Found(Fault first, long seed, int times) {}

    @Override
    public Integer call() {
        launch = new Launch(
                size("--grid", grid),
                size("--block", block),
                shared,
                cooperative,
                cluster == null ? null : size("--cluster", cluster));
        parsed = arguments.stream().map(LaunchArgument::parse).toList();
        if (print < 0) {
            throw new IllegalArgumentException("--print is " + print + ", expected 0 or more");
        }
        text = source.readOne(file);
        if (schedules != null) {
            IgnoredOptions.refuse(
                    spec.commandLine().getParseResult(),
                    List.of("--print"),
                    "without effect with --faults, which prints faults only");
        }
        if (device.equals("sim")) {
            return schedules == null ? simulate() : search(schedules);
        }
        if (schedules != null
                || architecture != null
                || withoutChecks
                || limit != null
                || debug
                || report.isRequested()
                || !linked.isEmpty()) {
            throw new IllegalArgumentException(
                    "--faults, --arch, --no-checks, --limit, --debug, --report and --link are for --device sim, not "
                            + device);
        }
        try (PtxDevice gpu = Backend.device(device)) {
            return launch(gpu);
        }
    }

    private static Launch.Dim size(String option, String text) {
        if (!text.matches("[0-9]{1,9}(x[0-9]{1,9}){0,2}")) {
            throw new IllegalArgumentException(option + " is \"" + text + "\", expected sizes such as 4, 4x2 or 4x2x1");
        }
        String[] sizes = text.split("x", -1);
        return new Launch.Dim(
                Integer.parseInt(sizes[0]),
                sizes.length > 1 ? Integer.parseInt(sizes[1]) : 1,
                sizes.length > 2 ? Integer.parseInt(sizes[2]) : 1);
    }

    private SimOptions options(long scheduleSeed) {
        SimOptions options = SimOptions.defaults().withSeed(scheduleSeed);
        options = architecture == null ? options : options.withArchitecture(architecture);
        options = limit == null ? options : options.withInstructionLimit(limit);
        return withoutChecks ? options.withoutChecks() : options;
    }

    private int simulate() {
        try (SimDevice simulator =
                SimDevice.open(debug ? options(seed) : options(seed).withCounts())) {
            if (debug) {
                simulator.debugWith(new Debugger(System.in, System.out));
            }
            if (report.isRequested()) {
                report.collect(simulator);
            }
            int code = launch(simulator);
            if (!debug) {
                System.out.print(summary(simulator.counts()));
            }
            return report.isRequested() ? Math.max(code, report.finish()) : code;
        }
    }

    private int launch(PtxDevice on) {
        Kernel kernel = kernel(on);
        System.out.println(kernel.name() + " on " + on.facts().name() + ", sm_"
                + on.facts().architecture() + ": " + launch);
        try (Buffers buffers = new Buffers(new ArrayList<>())) {
            variables.write(module(on));
            double milliseconds = run(on, kernel, seed, buffers);
            print(kernel, buffers);
            variables.print(module(on), print);
            System.out.printf(
                    Locale.ROOT,
                    "  %.3f ms %s%n",
                    milliseconds,
                    on instanceof SimDevice ? "in the simulator" : "on the GPU, for a first launch");
            return 0;
        } catch (KernelException | DeviceLostException e) {
            System.out.println("fault: " + e.getMessage());
            return 1;
        }
    }

    /** Prints the out buffers and saves those that are named. */
    private void print(Kernel kernel, Buffers buffers) {
        for (String name : saved.keySet()) {
            int at = kernel.parameters().indexOf(name);
            if (at < 0 || !(parsed.get(at) instanceof KernelArgument argument && argument.isBuffer())) {
                throw new IllegalArgumentException(
                        "--save " + name + " is not a buffer; the parameters are " + kernel.parameters());
            }
        }
        for (int k = 0, buffer = 0; k < parsed.size(); k++) {
            String name = kernel.parameters().get(k);
            if (!(parsed.get(k) instanceof KernelArgument argument && argument.isBuffer())) {
                continue;
            }
            DeviceStorage storage = buffers.open.get(buffer++);
            if (argument.isOut()) {
                System.out.println("  " + name + " (" + argument.text() + "): " + argument.first(storage, print));
            }
            Path target = saved.get(name);
            if (target != null) {
                BufferFile.write(target, argument.element(), argument.contents(storage));
            }
        }
    }

    /** The module of the file, with those that are linked to it. */
    private PtxModule module(PtxDevice on) {
        if (linked.isEmpty() || !(on instanceof SimDevice simulator)) {
            return on.module(file.toString(), text);
        }
        List<SimDevice.Source> sources = new ArrayList<>(List.of(new SimDevice.Source(file.toString(), text)));
        linked.forEach(other -> sources.add(new SimDevice.Source(other.toString(), source.readOne(other))));
        return simulator.link(sources);
    }

    private Kernel kernel(PtxDevice on) {
        PtxModule module = module(on);
        if (entry == null && module.kernels().size() != 1) {
            throw new IllegalArgumentException(
                    file + " has the entries " + module.kernels() + "; choose one with --entry");
        }
        return module.kernel(entry != null ? entry : module.kernels().get(0));
    }

    /** Launches the kernel, synchronises and returns the milliseconds between. */
    private double run(PtxDevice on, Kernel kernel, long dataSeed, Buffers buffers) {
        ArgumentTypes.require(file.toString(), text, kernel.name(), parsed);
        Object[] given = new Object[parsed.size()];
        for (boolean maps : new boolean[] {false, true}) { // a map needs the address of its buffer
            for (int k = 0; k < given.length; k++) {
                if (parsed.get(k) instanceof TensorMapArgument == maps) {
                    given[k] = parsed.get(k).value(on, dataSeed + k, given);
                }
            }
        }
        for (Object value : given) {
            if (value instanceof DeviceStorage storage) {
                buffers.open.add(storage);
            }
        }
        try (DeviceStream.Event start = on.stream().record()) {
            kernel.launch(on.stream(), launch, given);
            try (DeviceStream.Event end = on.stream().record()) {
                on.synchronize();
                return end.millisecondsSince(start);
            }
        }
    }

    /** Runs many schedules; faults of the same kind and line are counted as one. */
    private int search(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("--faults is " + count + ", expected 1 or more schedules");
        }
        if (report.isRequested()) {
            return searchAll(count);
        }
        Map<String, Found> faults = new LinkedHashMap<>();
        int without = 0;
        for (long at = seed; at < seed + count; at++) {
            try (SimDevice simulator = SimDevice.open(options(at));
                    Buffers buffers = new Buffers(new ArrayList<>())) {
                run(simulator, kernel(simulator), at, buffers);
                without++;
            } catch (Fault fault) {
                long first = at;
                faults.merge(
                        fault.kind() + ":" + fault.line(),
                        new Found(fault, first, 1),
                        (known, again) -> new Found(known.first, known.seed, known.times + 1));
            }
        }
        System.out.println(faults.size() + (faults.size() == 1 ? " fault" : " distinct faults") + " in " + count
                + " schedules, " + without + " of them without a fault");
        faults.values()
                .forEach(found -> System.out.println("fault in " + found.times + " of " + count + ", first with --seed "
                        + found.seed + ": " + found.first.getMessage()));
        return faults.isEmpty() ? 0 : 1;
    }

    /** Runs many schedules and reports all findings together. */
    private int searchAll(int count) {
        for (long at = seed; at < seed + count; at++) {
            try (SimDevice simulator = SimDevice.open(options(at));
                    Buffers buffers = new Buffers(new ArrayList<>())) {
                report.collect(simulator);
                variables.write(module(simulator));
                run(simulator, kernel(simulator), at, buffers);
            }
        }
        return report.finish();
    }

    /** Returns a table of executed instructions by name and modifiers, the most frequent first. */
    private static String summary(Counts counts) {
        Map<String, long[]> byName = new LinkedHashMap<>();
        counts.byLine().forEach(line -> {
            long[] now = numbers(line.getValue());
            byName.merge(line.getKey().source().name(), now, (a, b) -> {
                for (int i = 0; i < a.length; i++) {
                    a[i] += b[i];
                }
                return a;
            });
        });
        Table table =
                new Table("instruction", "warps", "lanes", "shared bytes", "bank conflicts", "global bytes", "sectors");
        byName.entrySet().stream()
                .sorted((a, b) -> Long.compare(b.getValue()[0], a.getValue()[0]))
                .forEach(row -> add(table, row.getKey(), row.getValue()));
        add(table, "all", numbers(counts.total()));
        return table.toString();
    }

    private static long[] numbers(Counts.Line line) {
        return new long[] {
            line.executions(), line.lanes(), line.sharedBytes(), line.extraPasses(), line.globalBytes(), line.sectors()
        };
    }

    private static void add(Table table, String name, long[] n) {
        table.add(name, n[0], n[1], n[2], n[3], n[4], n[5]);
    }
}
