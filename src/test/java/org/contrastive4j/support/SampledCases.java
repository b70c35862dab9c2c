package org.contrastive4j.support;

import java.lang.reflect.Array;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.ArgumentsProvider;
import org.junit.jupiter.params.support.AnnotationConsumer;

/** Provides the cases of {@link SampledSource}. */
final class SampledCases implements ArgumentsProvider, AnnotationConsumer<SampledSource> {
    /** {@code default}, {@code exhaustive}, or empty for all cases. */
    static final String TIER = "tests.tier";

    private static final double GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

    private SampledSource source;
    private String factory;
    private int every;

    @Override
    public void accept(SampledSource source) {
        this.source = source;
        factory = source.value();
        every = source.every();
    }

    @Override
    public Stream<? extends Arguments> provideArguments(ExtensionContext context) throws ReflectiveOperationException {
        return select(cases(context), System.getProperty(TIER, ""), every).stream()
                .map(SampledCases::arguments);
    }

    /** Returns the cases of one tier, in their order. */
    static <T> List<T> select(List<T> cases, String tier, int every) {
        if (tier.isEmpty()) {
            return cases;
        }
        if (!tier.equals("default") && !tier.equals("exhaustive")) {
            throw new IllegalArgumentException(
                    "unknown tier of tests \"" + tier + "\"; expected default, exhaustive or nothing");
        }
        Set<Integer> sample = IntStream.range(0, cases.size())
                .boxed()
                .sorted(Comparator.comparingDouble(SampledCases::position))
                .limit((cases.size() + every - 1) / every)
                .collect(Collectors.toSet());
        return IntStream.range(0, cases.size())
                .filter(i -> sample.contains(i) == tier.equals("default"))
                .mapToObj(cases::get)
                .toList();
    }

    /**
     * Multiples of the golden ratio, modulo 1, are evenly distributed and have no period in common with a list that is
     * a product of lists. The sample, the smallest of them, contains every value of each factor if it is large enough.
     */
    private static double position(int index) {
        return index * GOLDEN_RATIO - Math.floor(index * GOLDEN_RATIO);
    }

    private List<?> cases(ExtensionContext context) throws ReflectiveOperationException {
        if (source.csv().length > 0) {
            return Arrays.stream(source.csv()).map(this::cells).toList();
        }
        if (factory.isEmpty()) {
            return List.of(
                    context.getRequiredTestMethod().getParameterTypes()[0].getEnumConstants());
        }
        Method method = find(context.getRequiredTestClass());
        method.setAccessible(true);
        Object cases = method.invoke(null);
        if (cases instanceof Stream<?> stream) {
            return stream.toList();
        }
        if (cases instanceof Collection<?> collection) {
            return List.copyOf(collection);
        }
        return IntStream.range(0, Array.getLength(cases))
                .mapToObj(i -> Array.get(cases, i))
                .toList();
    }

    private Arguments cells(String line) {
        return Arguments.of(Arrays.stream(line.split(Pattern.quote(String.valueOf(source.delimiter())), -1))
                .map(String::strip)
                .map(cell -> cell.isEmpty() ? null : cell)
                .toArray());
    }

    private Method find(Class<?> test) throws ReflectiveOperationException {
        int hash = factory.indexOf('#');
        Class<?> owner = hash < 0 ? test : Class.forName(factory.substring(0, hash));
        String name = factory.substring(hash + 1);
        for (Class<?> type = owner; type != null; type = type.getSuperclass()) {
            for (Method method : type.getDeclaredMethods()) {
                if (method.getName().equals(name) && method.getParameterCount() == 0) {
                    return method;
                }
            }
        }
        throw new NoSuchMethodException(owner.getName() + "#" + name + ", the factory of @SampledSource");
    }

    private static Arguments arguments(Object value) {
        if (value instanceof Arguments arguments) {
            return arguments;
        }
        return value instanceof Object[] values ? Arguments.of(values) : Arguments.of(value);
    }
}
