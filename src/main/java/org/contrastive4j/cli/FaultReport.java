package org.contrastive4j.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.contrastive4j.internal.sim.Findings;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.exec.Fault;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Option;

/**
 * Options of a report of all findings of the simulator, and the report.
 *
 * <p>Tested by {@code PtxCommandsTest}.
 */
final class FaultReport {
    private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    /** Formats of a report. */
    enum Format {
        TEXT,
        JSON,
        SARIF
    }

    @Option(names = "--report", description = "sim: go on after a fault and report all findings at the end")
    private boolean requested;

    @Option(names = "--format", paramLabel = "FORMAT", description = "of the report: ${COMPLETION-CANDIDATES}")
    private Format format = Format.TEXT;

    @Option(
            names = "--report-file",
            paramLabel = "FILE",
            showDefaultValue = Visibility.NEVER,
            description = "file of the report; default: standard output")
    private @Nullable Path file;

    @Option(
            names = "--suppress",
            paramLabel = "FILE",
            showDefaultValue = Visibility.NEVER,
            description = "findings that are not reported: lines of KIND KERNEL FILE:LINE, with * for any text")
    private @Nullable Path suppressions;

    @Option(
            names = "--kinds",
            paramLabel = "KIND",
            split = ",",
            showDefaultValue = Visibility.NEVER,
            description = "report these kinds only, such as RACE,OUT_OF_BOUNDS")
    private List<Fault.Kind> kinds = List.of();

    @Option(
            names = "--severity",
            paramLabel = "SEVERITY",
            description = "report findings of at least this severity: ${COMPLETION-CANDIDATES}")
    private Fault.Severity least = Fault.Severity.INFO;

    @Option(
            names = "--fail-on",
            paramLabel = "SEVERITY",
            description = "exit with 1 when a reported finding has at least this severity: ${COMPLETION-CANDIDATES}")
    private Fault.Severity failing = Fault.Severity.WARNING;

    private final Findings findings = new Findings();

    boolean isRequested() {
        return requested;
    }

    /** Collects the faults of a device from now on. */
    void collect(SimDevice device) {
        device.onFault(findings);
    }

    /** Writes the report; returns the exit status. */
    int finish() {
        Suppressions suppressed = Suppressions.read(suppressions);
        List<Findings.Finding> reported = findings.list().stream()
                .filter(finding ->
                        kinds.isEmpty() || kinds.contains(finding.first().kind()))
                .filter(finding -> finding.first().severity().compareTo(least) >= 0)
                .filter(finding -> !suppressed.contains(finding.first()))
                .toList();
        String text =
                switch (format) {
                    case TEXT -> text(reported);
                    case JSON -> json(reported);
                    case SARIF -> sarif(reported);
                };
        if (file == null) {
            System.out.print(text);
        } else {
            try {
                Files.writeString(file, text);
            } catch (IOException e) {
                throw new IllegalArgumentException("cannot write " + file + ": " + e.getMessage(), e);
            }
        }
        boolean fails =
                reported.stream().anyMatch(finding -> finding.first().severity().compareTo(failing) >= 0);
        return fails ? 1 : 0;
    }

    private static String name(Fault.Severity severity) {
        return severity.name().toLowerCase(Locale.ROOT);
    }

    private static String text(List<Findings.Finding> reported) {
        StringBuilder text = new StringBuilder();
        for (Findings.Finding finding : reported) {
            text.append(name(finding.first().severity()))
                    .append(": ")
                    .append(finding.first().getMessage())
                    .append(finding.times() == 1 ? "" : " (" + finding.times() + " times)")
                    .append(System.lineSeparator());
        }
        String counts = List.of(Fault.Severity.ERROR, Fault.Severity.WARNING, Fault.Severity.INFO).stream()
                .map(severity -> reported.stream()
                                .filter(finding -> finding.first().severity() == severity)
                                .count()
                        + " " + name(severity))
                .collect(Collectors.joining(", "));
        return text.append("findings: ")
                .append(counts)
                .append(System.lineSeparator())
                .toString();
    }

    private static String json(List<Findings.Finding> reported) {
        ObjectNode root = JSON.createObjectNode();
        ArrayNode list = root.putArray("findings");
        for (Findings.Finding finding : reported) {
            Fault fault = finding.first();
            ObjectNode node = list.addObject();
            node.put("severity", name(fault.severity()));
            node.put("kind", fault.kind().name());
            node.put("message", fault.text());
            node.put("times", finding.times());
            put(node, fault.site());
            if (fault.other() != null) {
                put(node.putObject("other"), fault.other());
            }
        }
        return written(root);
    }

    private static void put(ObjectNode node, Fault.Site site) {
        node.put("kernel", site.kernel());
        node.put("file", site.file());
        node.put("line", site.line());
        node.put("source", site.origin());
        node.put("instruction", site.instruction());
        node.put("block", site.block());
        node.put("thread", site.thread());
    }

    private static String written(ObjectNode root) {
        try {
            return JSON.writeValueAsString(root) + System.lineSeparator();
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("the report cannot be written as JSON", e);
        }
    }

    /** SARIF 2.1.0, the static-analysis format that editors and code hosts read. */
    private static String sarif(List<Findings.Finding> reported) {
        ObjectNode root = JSON.createObjectNode();
        root.put("$schema", "https://json.schemastore.org/sarif-2.1.0.json");
        root.put("version", "2.1.0");
        ObjectNode run = root.putArray("runs").addObject();
        ObjectNode driver = run.putObject("tool").putObject("driver");
        driver.put("name", "contrastive4j PTX simulator");
        ArrayNode rules = driver.putArray("rules");
        reported.stream()
                .map(finding -> finding.first().kind().name())
                .distinct()
                .forEach(kind -> rules.addObject().put("id", kind));
        ArrayNode results = run.putArray("results");
        for (Findings.Finding finding : reported) {
            Fault fault = finding.first();
            ObjectNode result = results.addObject();
            result.put("ruleId", fault.kind().name());
            result.put("level", fault.severity() == Fault.Severity.INFO ? "note" : name(fault.severity()));
            result.putObject("message").put("text", fault.text());
            result.put("occurrenceCount", finding.times());
            location(result.putArray("locations").addObject(), fault.site());
            if (fault.other() != null) {
                ObjectNode related = result.putArray("relatedLocations").addObject();
                location(related, fault.other());
                related.putObject("message")
                        .put("text", "the earlier access: " + fault.other().instruction());
            }
        }
        return written(root);
    }

    /** The line of the CUDA source where it is known, else that of the PTX text. */
    private static void location(ObjectNode node, Fault.Site site) {
        String origin = site.origin();
        int colon = origin == null ? -1 : origin.lastIndexOf(':');
        ObjectNode physical = node.putObject("physicalLocation");
        physical.putObject("artifactLocation").put("uri", origin == null ? site.file() : origin.substring(0, colon));
        physical.putObject("region")
                .put(
                        "startLine",
                        Math.max(1, origin == null ? site.line() : Integer.parseInt(origin.substring(colon + 1))));
    }
}
