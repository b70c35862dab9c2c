package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SampledSourceTest {
    private static final List<Integer> CASES = IntStream.range(0, 200).boxed().toList();

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 8, 16, 1000})
    void select_bothTiers_partitionTheCasesAndTheDefaultHasTheFirst(int every) {
        List<Integer> quick = SampledCases.select(CASES, "default", every);
        List<Integer> rest = SampledCases.select(CASES, "exhaustive", every);
        assertEquals(0, quick.get(0));
        Set<Integer> both = new HashSet<>(quick);
        both.addAll(rest);
        assertEquals(CASES.size(), quick.size() + rest.size());
        assertEquals(Set.copyOf(CASES), both);
        assertEquals((200 + every - 1) / every, quick.size());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 5, 7, 10, 14})
    void select_productOfLists_containsEveryValueOfEachFactor(int period) {
        Set<Integer> met = SampledCases.select(CASES, "default", 4).stream()
                .map(i -> i % period)
                .collect(Collectors.toSet());
        assertEquals(period, met.size());
    }

    @ParameterizedTest
    @ValueSource(strings = "quick")
    void select_unknownTier_isRefused(String tier) {
        assertThrows(IllegalArgumentException.class, () -> SampledCases.select(CASES, tier, 2));
    }

    static Stream<Integer> three() {
        return Stream.of(0, 1, 2);
    }

    @ParameterizedTest
    @SampledSource(
            every = 2,
            delimiter = '|',
            csv = {"one, with a comma | 1 |", "two | 2 |", "three | 3 |"})
    void provideArguments_csv_splitsAndConverts(String name, int value, String empty) {
        assertTrue(value == 1 ? name.equals("one, with a comma") : name.matches("two|three"), name);
        assertNull(empty);
    }

    /** Case 0 is in the sample of every size, so the default run has it, and only it runs there. */
    @ParameterizedTest
    @SampledSource(value = "three", every = 1000)
    void provideArguments_tier_returnsItsCases(int value) {
        switch (System.getProperty(SampledCases.TIER, "")) {
            case "default" -> assertEquals(0, value);
            case "exhaustive" -> assertTrue(value > 0);
            default -> assertTrue(value >= 0);
        }
    }
}
