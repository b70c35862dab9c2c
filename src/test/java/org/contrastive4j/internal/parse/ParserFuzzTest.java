package org.contrastive4j.internal.parse;

import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.SampledSeeds;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Whatever the text, loading it returns or says with a {@link PtxException} what is wrong; nothing else
 * comes out, and it ends.
 */
class ParserFuzzTest {
    private static final Duration TOO_LONG = Duration.ofSeconds(120);
    private static final Pattern TOKEN =
            Pattern.compile("\\.?[A-Za-z_$%][\\w$]*(::\\w+)*|\\d[\\w.]*|\\s+|.", Pattern.DOTALL);
    private static final String HEADER = ".version 8.0\n.target sm_90a\n.address_size 64\n";
    private static final String KERNEL = HEADER + """
            .extern .shared .align 16 .b8 dynamic[];
            .global .align 16 .b32 words[4] = {1, 2, 3, 4};
            .func (.param .b32 back) twice(.param .b32 given) { ret; }
            .visible .entry k(.param .u64 p, .param .b32 n)
            {
                .reg .pred %p<8>;
                .reg .b16 %h<8>;
                .reg .b32 %r<16>;
                .reg .f32 %f<16>;
                .reg .b64 %rd<8>;
                .reg .f64 %fd<8>;
                .local .b32 own[4];
                ld.param.u64 %rd1, [p];
                mov.b32 %r1, 64;
                mov.b32 %r2, 1;
                mov.b32 %h1, 3;
                mov.b64 %rd2, 2;
                mov.b32 %f1, 0f3FC00000;
                mov.b32 %f2, 0fBF000000;
                mov.b32 %f3, %f1;
                mov.b32 %f4, %f2;
                mov.b64 %fd1, 0d3FF8000000000000;
                mov.b32 %r3, %r1;
                mov.b32 %r4, %r2;
                mov.b16 %h2, %h1;
                setp.eq.u32 %p1, %r1, %r1;
                setp.ne.u32 %p2, %r1, %r1;
            Here:
            """;
    private static final List<String> OPERANDS = List.of(
            "%p1",
            "%p2",
            "!%p1",
            "%p1|%p2",
            "%h1",
            "%r1",
            "%r2",
            "%r1|%p1",
            "%f1",
            "%rd1",
            "%fd1",
            "[%rd1]",
            "[%r1]",
            "[%rd1+4]",
            "[words]",
            "[dynamic+16]",
            "[own]",
            "[p]",
            "[n]",
            "[5]",
            "words",
            "own",
            "p",
            "k",
            "twice",
            "{%r1, %r2}",
            "{%f1, %f2, %f3, %f4}",
            "{%r1, %r2, %r3, %r4}",
            "{%rd1, %rd2}",
            "{%h1, %h2}",
            "{}",
            "{_, %r1}",
            "{{%r1}}",
            "(%r1)",
            "(n)",
            "()",
            "_",
            "0",
            "1",
            "-1",
            "4294967296",
            "18446744073709551615",
            "99999999999",
            "0f3F800000",
            "0d3FF0000000000000",
            "1.5",
            "-1.5",
            "Here",
            "%tid.x",
            "%clock",
            "WARP_SZ",
            "%laneid",
            "%p1|_",
            "_|%p1",
            "[%rd1, {%r1, %r2}]",
            "[%rd1, 3]",
            "~5",
            "!5",
            "[{%r1}]",
            "");

    private static final SimOptions OPTIONS =
            SimOptions.defaults().withInstructionLimit(1000).withMemoryLimit(1 << 24);

    private static List<String> corpus;
    private static List<String> pool;
    private static List<List<String>> instructions;

    private final AtomicReference<String> current = new AtomicReference<>("");

    @BeforeAll
    static void read() throws IOException, URISyntaxException {
        Path folder = Path.of(ParserFuzzTest.class.getResource("/ptx").toURI());
        try (Stream<Path> files = Files.walk(folder)) {
            corpus = files.filter(file -> file.toString().endsWith(".ptx"))
                    .sorted()
                    .map(ParserFuzzTest::text)
                    .toList();
        }
        assertTrue(corpus.size() > 100, "only " + corpus.size() + " files in " + folder);
        pool = corpus.stream()
                .flatMap(text -> tokens(text).stream())
                .filter(token -> !token.isBlank())
                .distinct()
                .sorted()
                .toList();
        instructions = corpus.stream()
                .flatMap(text -> Pattern.compile("(?m)^\\s*(?:@!?\\S+\\s+)?([a-z][a-z0-9]*(?:\\.[\\w:.]+)+)\\s")
                        .matcher(text)
                        .results()
                        .map(match -> match.group(1)))
                .distinct()
                .sorted()
                .map(name -> List.of(name.split("(?=\\.)")))
                .toList();
        assertTrue(instructions.size() > 300, "only " + instructions.size() + " instructions");
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<String> tokens(String text) {
        return TOKEN.matcher(text).results().map(MatchResult::group).toList();
    }

    /** Loads a text; true when it was accepted. */
    private boolean load(String text, long seed) {
        return load(text, seed, false);
    }

    /** @param run whether to launch it, which may end in any fault */
    private boolean load(String text, long seed, boolean run) {
        current.set("seed " + seed + ":\n" + text);
        SimDevice device = SimDevice.open(OPTIONS);
        try (DeviceStorage storage = device.allocate(run ? 256 : 0)) {
            PtxModule module = device.module("fuzz.ptx", text);
            if (run) {
                device.stream().fill(storage, (byte) 0);
                module.kernel("k").launch(device.stream(), Launch.of(1, 128).shared(1024), storage, 3);
            }
            return true;
        } catch (KernelException fault) {
            return true;
        } catch (PtxException refused) {
            return false;
        } catch (Throwable e) {
            throw new AssertionError("seed " + seed + ": " + e + " instead of a PtxException from\n" + text, e);
        } finally {
            device.close();
        }
    }

    private void within(Runnable work) {
        assertTimeoutPreemptively(TOO_LONG, work::run, () -> "still busy with " + current.get());
    }

    @Test
    void parse_everyOwnFile_isAccepted() {
        // what is mutated below must be right before; a text alone cannot include
        within(() -> corpus.stream()
                .filter(text -> !text.startsWith("// REFUSED")
                        && !text.contains("#include")
                        && !text.contains(".extern .global")) // needs another file
                .forEach(text -> assertTrue(load(text, -1), text)));
    }

    @Tag("sampled")
    @Test
    void parse_randomBytes_throwsOnlyPtxException() {
        within(() -> {
            for (int seed : SampledSeeds.of(2000, 5)) {
                Random random = new Random(seed);
                byte[] bytes = new byte[random.nextInt(300)];
                random.nextBytes(bytes);
                String text = new String(bytes, StandardCharsets.ISO_8859_1);
                load(seed % 2 == 0 ? text : HEADER + text, seed);
            }
        });
    }

    @Tag("sampled")
    @Test
    void parse_randomTokens_throwsOnlyPtxException() {
        within(() -> {
            for (int seed : SampledSeeds.of(5000, 5)) {
                Random random = new Random(seed);
                StringBuilder text = new StringBuilder(seed % 3 == 0 ? "" : seed % 3 == 1 ? HEADER : KERNEL);
                for (int n = random.nextInt(80); n > 0; n--) {
                    text.append(any(random, pool))
                            .append(random.nextInt(4) == 0 ? "" : random.nextInt(6) == 0 ? "\n" : " ");
                }
                load(text + (seed % 3 == 2 ? ";\n}\n" : ""), seed);
            }
        });
    }

    /** Instructions of the files with any modifiers and operands: what is loaded can also be run. */
    @Tag("sampled")
    @Test
    void parse_randomInstructions_throwsOnlyPtxException() {
        within(() -> {
            int accepted = 0;
            List<Integer> seeds = SampledSeeds.of(15_000, 5);
            for (int seed : seeds) {
                Random random = new Random(seed);
                List<String> name = new ArrayList<>(any(random, instructions));
                for (int changes = random.nextInt(3); changes > 0 && name.size() > 1; changes--) {
                    int at = 1 + random.nextInt(name.size() - 1);
                    switch (random.nextInt(3)) {
                        case 0 -> name.remove(at);
                        case 1 -> name.set(at, any(random, any(random, instructions)));
                        default -> name.add(at, any(random, any(random, instructions)));
                    }
                }
                StringBuilder operands = new StringBuilder();
                for (int n = random.nextInt(7); n > 0; n--) {
                    operands.append(operands.isEmpty() ? " " : ", ").append(any(random, OPERANDS));
                }
                accepted += load(KERNEL + String.join("", name) + operands + ";\nret;\n}\n", seed, true) ? 1 : 0;
            }
            assertTrue(accepted > seeds.size() / 75, "only " + accepted + " were accepted: the others all fail early");
        });
    }

    @Test
    void parse_truncatedText_throwsOnlyPtxException() {
        within(() -> {
            for (String text : corpus.stream()
                    .filter(text -> text.length() > 900 && text.length() < 1300)
                    .limit(5)
                    .toList()) {
                for (int end = 0; end < text.length(); end++) {
                    load(text.substring(0, end), end);
                }
            }
        });
    }

    @Tag("sampled")
    @Test
    void parse_mutatedTokens_throwsOnlyPtxException() {
        within(() -> {
            for (int seed : SampledSeeds.of(6000, 5)) {
                Random random = new Random(seed);
                List<String> tokens = new ArrayList<>(tokens(small(random)));
                for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
                    int at = random.nextInt(tokens.size());
                    switch (random.nextInt(4)) {
                        case 0 -> tokens.remove(at);
                        case 1 -> tokens.add(at, tokens.get(at));
                        case 2 -> Collections.swap(tokens, at, random.nextInt(tokens.size()));
                        default -> tokens.set(at, any(random, pool));
                    }
                }
                load(String.join("", tokens), seed);
            }
        });
    }

    @Tag("sampled")
    @Test
    void parse_mutatedCharacters_throwsOnlyPtxException() {
        within(() -> {
            for (int seed : SampledSeeds.of(4000, 5)) {
                Random random = new Random(seed);
                StringBuilder text = new StringBuilder(small(random));
                for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
                    int at = random.nextInt(text.length());
                    switch (random.nextInt(4)) {
                        case 0 -> text.deleteCharAt(at);
                        case 1 -> text.insert(at, text.charAt(at));
                        case 2 -> text.setCharAt(at, text.charAt(random.nextInt(text.length())));
                        default -> text.setCharAt(at, (char) (1 + random.nextInt(127)));
                    }
                }
                load(text.toString(), seed);
            }
        });
    }

    /** Mostly a file of a few lines, so that many can be tried. */
    private static String small(Random random) {
        String text = any(random, corpus);
        for (int tries = 0; text.length() > 3000 && tries < 8; tries++) {
            text = any(random, corpus);
        }
        return text;
    }

    private static <T> T any(Random random, List<T> list) {
        return list.get(random.nextInt(list.size()));
    }
}
