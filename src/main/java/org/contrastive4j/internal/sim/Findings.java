package org.contrastive4j.internal.sim;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.contrastive4j.internal.sim.exec.Fault;

/**
 * Collects the faults of launches: those of the same kind, severity and instructions are one finding.
 *
 * <p>A value that nothing has written is named once: an unused read that is used later counts as its use, and a use
 * whose value another thread may yet write counts as the race between them.
 */
public final class Findings implements Consumer<Fault> {
    private final Map<Key, Finding> all = new LinkedHashMap<>();

    private record Key(Fault.Kind kind, Fault.Severity severity, String file, int line, int lastLine) {}

    /**
     * Faults that are alike.
     *
     * @param first of them
     * @param times how many there were
     */
    public record Finding(Fault first, long times) {}

    @Override
    public synchronized void accept(Fault fault) {
        Fault.Site other = fault.other();
        int line = fault.line();
        int earlier = other == null ? line : other.line(); // which of two comes first depends on the schedule
        Key key = new Key(
                fault.kind(), fault.severity(), fault.site().file(), Math.min(line, earlier), Math.max(line, earlier));
        all.merge(key, new Finding(fault, 1), (known, again) -> new Finding(known.first, known.times + 1));
    }

    /** Returns the findings, the most severe first, then by line. */
    public synchronized List<Finding> list() {
        List<Finding> list = new ArrayList<>(all.values());
        list.removeIf(finding -> finding.first.kind() == Fault.Kind.UNINITIALIZED && isNamedOtherwise(finding));
        list.sort(Comparator.comparing((Finding finding) -> finding.first.severity())
                .reversed()
                .thenComparing(finding -> finding.first.site().file())
                .thenComparingInt(finding -> finding.first.line()));
        return list;
    }

    private boolean isNamedOtherwise(Finding finding) {
        int line = finding.first.line();
        return all.values().stream()
                .map(Finding::first)
                .filter(fault -> fault.severity().compareTo(Fault.Severity.INFO) > 0)
                .anyMatch(fault -> {
                    Fault.Site other = fault.other();
                    return fault.kind() == Fault.Kind.RACE
                                    && (fault.line() == line || other != null && other.line() == line)
                            || finding.first.severity() == Fault.Severity.INFO
                                    && fault.kind() == Fault.Kind.UNINITIALIZED
                                    && fault.line() == line;
                });
    }
}
