package org.contrastive4j.support;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.provider.ArgumentsSource;

/**
 * A {@code @MethodSource} whose cases are divided between the tiers: the default run ({@code mvn test}) takes one in
 * {@link #every} of them, the first included, and {@code mvn -Pexhaustive test} takes all the others. Without the
 * system property {@code tests.tier}, as in an IDE, all cases run.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@ArgumentsSource(SampledCases.class)
@Tag("sampled")
public @interface SampledSource {
    /**
     * Name of the factory method, as for {@code @MethodSource}: static, without parameters. Empty for the constants of
     * the enum that is the test's first parameter.
     */
    String value() default "";

    /** Cases as for {@code @CsvSource}, instead of a factory: cells without quotes; an empty cell is null. */
    String[] csv() default {};

    /** Separates the cells of {@link #csv}. */
    char delimiter() default ',';

    /** The default tier contains one case in so many, evenly distributed over their order. */
    int every();
}
