package org.contrastive4j.support;

import static java.lang.annotation.ElementType.METHOD;
import static java.lang.annotation.ElementType.TYPE;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.condition.EnabledIf;

/**
 * Skips a test on platforms for which JCuda has no natives and therefore no PTX assembler. On all others, an assembler
 * that does not load fails the test.
 */
@Target({TYPE, METHOD})
@Retention(RetentionPolicy.RUNTIME)
@EnabledIf(
        value = "org.contrastive4j.internal.cuda.JCudaPlatform#supported",
        disabledReason = "no PTX assembler on this platform: JCuda has natives for Linux and Windows on x86_64 only")
public @interface NeedsPtxAssembler {}
