package org.contrastive4j.support;

import java.lang.reflect.Array;
import java.lang.reflect.Method;
import java.util.Collection;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.ArgumentsProvider;
import org.junit.jupiter.params.support.AnnotationConsumer;

/** Gives {@link SampledSource} its cases. */
final class SampledCases implements ArgumentsProvider, AnnotationConsumer<SampledSource> {
    /** {@code default}, {@code exhaustive}, or empty for all cases. */
    static final String TIER = "tests.tier";

    private static final double GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

    private String factory;
    private int every;

    @Override
    public void accept(SampledSource source) {
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
        return switch (tier) {
            case "" -> cases;
            case "default", "exhaustive" ->
                IntStream.range(0, cases.size())
                        .filter(i -> isInSample(i, every) == tier.equals("default"))
                        .mapToObj(cases::get)
                        .toList();
            default ->
                throw new IllegalArgumentException(
                        "unknown tier of tests \"" + tier + "\"; expected default, exhaustive or nothing");
        };
    }

    /**
     * Multiples of the golden ratio, modulo 1, are evenly spread and keep no step with the periods of a list that is a
     * product of lists. So the sample meets every value of each factor where it is large enough.
     */
    private static boolean isInSample(int index, int every) {
        double position = index * GOLDEN_RATIO;
        return position - Math.floor(position) < 1.0 / every;
    }

    private List<?> cases(ExtensionContext context) throws ReflectiveOperationException {
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
