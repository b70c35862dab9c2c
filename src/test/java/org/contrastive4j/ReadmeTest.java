package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.gradcache.CachedStep;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.kernels.FusedLoss;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java snippets of README.md: each runs here, and its text must occur in this file. */
class ReadmeTest {
    private static final Path README = Path.of("README.md");
    private static final Path THIS = Path.of("src/test/java/org/contrastive4j/ReadmeTest.java");
    private static final Pattern SNIPPET = Pattern.compile("```java\\n(.*?)```", Pattern.DOTALL);
    private static final Pattern COORDINATES = Pattern.compile("<dependency>\\n(.*?)</dependency>", Pattern.DOTALL);
    private static final Pattern LINK = Pattern.compile("\\]\\(([^)#:]+)\\)");

    /** Two matrices of samples: rows of one belong to rows of the other. */
    private record MyBatch(Tensor images, Tensor texts) implements AutoCloseable {
        static MyBatch of(Ops ops, int pairs) {
            return new MyBatch(samples(ops, pairs, 5, 1), samples(ops, pairs, 4, 2));
        }

        private static Tensor samples(Ops ops, int pairs, int width, int seed) {
            double[] values = IntStream.range(0, pairs * width)
                    .mapToDouble(i -> Math.sin(seed + 3.7 * i))
                    .toArray();
            return ops.tensor(Shape.of(pairs, width), values);
        }

        int size() {
            return images.dim(0);
        }

        @Override
        public void close() {
            images.close();
            texts.close();
        }
    }

    private List<Parameter> imageParameters = List.of();
    private List<Parameter> textParameters = List.of();

    private Variable encodeImages(Tape tape, MyBatch batch, int from, int to) {
        return Functions.linear(
                tape, tape.constant("images", batch.images.rows(from, to)), imageParameters.get(0), null);
    }

    private Variable encodeTexts(Tape tape, MyBatch batch, int from, int to) {
        return Functions.linear(tape, tape.constant("texts", batch.texts.rows(from, to)), textParameters.get(0), null);
    }

    private static Parameter weight(Ops ops, String name, int inputs) {
        double[] values = IntStream.range(0, inputs * 64)
                .mapToDouble(i -> Math.cos(name.length() + 1.3 * i))
                .toArray();
        return new Parameter(ops, name, ops.parameterTensor(Shape.of(inputs, 64), values), false);
    }

    private void openModel(Ops ops) {
        imageParameters = List.of(weight(ops, "image", 5));
        textParameters = List.of(weight(ops, "texts", 4));
    }

    private void closeModel() {
        imageParameters.forEach(Parameter::close);
        textParameters.forEach(Parameter::close);
    }

    @Test
    void gradientCachingSnippets_computeAndAgree() {
        try (Ops model = Backend.open("cpu");
                MyBatch batch = MyBatch.of(model, 8)) {
            openModel(model);
            // the snippet opens a backend of its own; tensors of one cpu backend can be read by another
            try (Ops ops = Backend.open("cpu");
                    CachedStep<MyBatch> step = CachedStep.infoNce(ops, MyBatch::size)
                            .encoder("image", imageParameters, this::encodeImages)
                            .encoder("text", textParameters, this::encodeTexts)
                            .memoryBudget(2L << 30) // 2 GiB
                            .build()) {
                double loss = step.run(batch).get().loss(); // the gradient of the whole batch is in the parameters
                assertTrue(Double.isFinite(loss));
                assertTrue(imageParameters.get(0).gradient().toDoubles()[0] != 0);
                EquivalenceCheck.Report report = step.check(batch, List.of(3, 5));
                assertTrue(report.agrees(1e-5), report::toString); // names the layer that differs
            }
            closeModel();
        }
    }

    @Test
    void devicePointerSnippet_computesTheLoss() {
        int n = 3;
        int m = 3;
        int d = 2;
        float[] rows = {1, 0, 0, 1, -1, 0};
        try (PtxDevice device = Backend.device("sim");
                DeviceStorage x = floats(device, rows);
                DeviceStorage y = floats(device, rows);
                DeviceStorage logScale = floats(device, 0);
                DeviceStorage dx = device.allocate(x.bytes());
                DeviceStorage dy = device.allocate(y.bytes());
                DeviceStorage dLogScale = floats(device, 0);
                DeviceStorage results = device.allocate(FusedLoss.RESULT_BYTES)) {
            DeviceStream stream = device.stream();
            FusedLoss.Inputs inputs = new FusedLoss.Inputs(
                    FusedLoss.Rows.f32(x.address(), n, d),
                    FusedLoss.Rows.f32(y.address(), m, d),
                    0,
                    logScale.address(),
                    0);
            FusedLoss.Gradients gradients = new FusedLoss.Gradients(
                    FusedLoss.Rows.f32(dx.address(), n, d),
                    FusedLoss.Rows.f32(dy.address(), m, d),
                    dLogScale.address(),
                    0,
                    1);
            long result = results.address();
            try (DeviceStorage scratch = device.allocate(1 << 20)) {
                long workspace = scratch.address();
                FusedLoss loss = Backend.fusedInfoNce(device, Precision.BF16);
                long bytes = loss.workspaceBytes(n, m, d);
                loss.valueAndGradient(stream, inputs, gradients, result, workspace, bytes);
            }
            ByteBuffer values = ByteBuffer.allocateDirect(FusedLoss.RESULT_BYTES);
            results.download(0, values);
            double outer = Math.log(Math.E + 1 + Math.exp(-1)) - 1; // rows 0 and 2 point in opposite directions
            double middle = Math.log(2 + Math.E) - 1;
            assertEquals(
                    (2 * outer + middle) / 3, FusedLoss.result(values.rewind()).loss(), 1e-6);
        }
    }

    private static DeviceStorage floats(PtxDevice device, float... values) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder());
        bytes.asFloatBuffer().put(values);
        DeviceStorage storage = device.allocate(bytes.capacity());
        storage.upload(0, bytes);
        return storage;
    }

    @Test
    void everySnippet_isPartOfThisTest() throws IOException {
        String source = Files.readString(THIS).replaceAll("(?m)^ +", "");
        List<String> missing = new ArrayList<>();
        Matcher snippet = SNIPPET.matcher(Files.readString(README));
        int snippets = 0;
        while (snippet.find()) {
            snippets++;
            String text = snippet.group(1).replaceAll("(?m)^ +", "").replaceAll("\\}\\n$", "");
            if (!source.contains(text)) {
                missing.add(text);
            }
        }
        assertEquals(List.of(), missing);
        assertEquals(3, snippets);
    }

    @Test
    void coordinates_areThoseOfThePom() throws IOException {
        String pom = Files.readString(Path.of("pom.xml"));
        Matcher coordinates = COORDINATES.matcher(Files.readString(README));
        assertTrue(coordinates.find(), "expected a <dependency> in README.md");
        for (String line : coordinates.group(1).strip().split("\\s+")) {
            int found = pom.indexOf(line);
            assertTrue(found >= 0 && found < pom.indexOf("<properties>"), line);
        }
    }

    /** The program that README.md links to, which is built apart from this project. */
    @Test
    void linkedProgram_compiles(@TempDir Path folder) {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        int status = compiler.run(
                null,
                null,
                errors,
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                folder.toString(),
                "src/it/link/src/main/java/org/example/Link.java");
        assertEquals(0, status, errors::toString);
    }

    @Test
    void everyLink_leadsToAFile() throws IOException {
        List<String> missing = new ArrayList<>();
        for (Path page : List.of(
                README,
                Path.of("bench/README.md"),
                Path.of("src/site/markdown/architecture.md"),
                Path.of("src/site/markdown/choosing-a-loss.md"),
                Path.of("src/site/markdown/commands.md"))) {
            Matcher link = LINK.matcher(Files.readString(page));
            while (link.find()) {
                if (!Files.exists(page.toAbsolutePath().resolveSibling(link.group(1)))) {
                    missing.add(page + ": " + link.group(1));
                }
            }
        }
        assertEquals(List.of(), missing);
    }
}
