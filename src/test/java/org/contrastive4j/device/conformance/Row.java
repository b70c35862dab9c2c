package org.contrastive4j.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.LongPredicate;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSeeds;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;

/** A row of a conformance table: an instruction, its operands, and the accepted results. */
record Row(MicroKernel kernel, List<long[]> lanes, Function<long[], Outcome[]> expected) {
    /** Creates a row for an instruction with one result that takes its operands in order. */
    static Row of(String instruction, Kind result, List<Kind> operands, Function<long[], Outcome> expected) {
        return of(instruction, MicroKernel.plain(instruction, operands.size()), List.of(result), operands, x ->
                new Outcome[] {expected.apply(x)});
    }

    /** Creates a row with its own kernel body. */
    static Row of(
            String name, String body, List<Kind> results, List<Kind> operands, Function<long[], Outcome[]> expected) {
        MicroKernel kernel = new MicroKernel(name, 80, results, operands, body);
        return new Row(kernel, Samples.of(name.hashCode(), operands), expected);
    }

    /** Returns this row, restricted to an architecture and later ones. */
    Row from(int architecture) {
        MicroKernel later =
                new MicroKernel(kernel.name(), architecture, kernel.results(), kernel.operands(), kernel.body());
        return new Row(later, lanes, expected);
    }

    /** Returns this row with other operands. */
    Row on(List<long[]> others) {
        return new Row(kernel, others, expected);
    }

    /** Returns this row with one operand mapped into its range. */
    Row with(int operand, UnaryOperator<Long> range) {
        List<long[]> changed = lanes.stream().map(long[]::clone).toList();
        changed.forEach(lane -> lane[operand] = range.apply(lane[operand]));
        return on(changed);
    }

    /** Returns one container for each device with one test for each row; the default tier takes one row in four. */
    static Stream<DynamicNode> tests(List<Row> rows) {
        assertEquals(
                rows.size(),
                rows.stream().map(row -> row.kernel.name()).distinct().count(),
                "rows of one name");
        return Devices.all().map(named -> {
            PtxDevice device = named.getPayload().get();
            Stream<DynamicTest> tests = SampledSeeds.of(rows, 4).stream()
                    .map(row -> DynamicTest.dynamicTest(row.kernel.name(), () -> row.run(device)));
            return DynamicContainer.dynamicContainer(named.getName(), tests.onClose(device::close));
        });
    }

    private void run(PtxDevice device) {
        check(kernel.run(device, lanes));
    }

    /** Compares every lane. */
    void check(long[][] results) {
        assertEquals(lanes.size(), results.length, "lanes");
        boolean says = false;
        for (int lane = 0; lane < results.length; lane++) {
            Outcome[] outcomes = expected.apply(lanes.get(lane));
            for (int i = 0; i < outcomes.length; i++) {
                LongPredicate accepts = outcomes[i].accepts();
                if (!accepts.test(results[lane][i])) {
                    throw new AssertionError(message(lane, i, outcomes[i].description(), results[lane][i]));
                }
                says |= !outcomes[i].isAny();
            }
        }
        assertTrue(says, "no lane of " + kernel.name() + " has an expectation");
    }

    private String message(int lane, int result, String expected, long got) {
        String operands = Arrays.stream(lanes.get(lane))
                .mapToObj(value -> "0x" + Long.toHexString(value))
                .collect(Collectors.joining(", "));
        return kernel.name() + ", lane " + lane + " (seed " + kernel.name().hashCode() + "): operands "
                + operands + ", result " + MicroKernel.result(result) + " is 0x" + Long.toHexString(got)
                + ", expected " + expected;
    }
}
