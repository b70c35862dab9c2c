package org.contrastive4j.bench.device;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.cuda.CudaDevice;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.ptx.HopperGemm;
import org.contrastive4j.tensor.Precision;

/**
 * Device time of the library's 16-bit matrix products on sm_90a, next to cuBLAS and the {@link CostModel}: square
 * products and the products of an encoder's layers.
 *
 * <p>Some elements of each product are compared with f64 first. Writes {@code gemm.json} after every case. Exits with 1
 * if a product was wrong.
 */
public final class GemmTimes {
    private static final Map<String, String> USUAL = Map.of(
            "device",
            "cuda",
            "out",
            ".",
            "seconds",
            "40",
            "repeats",
            "20",
            "products",
            "nt:8192:8192:8192,nn:4096:4096:4096,nn:32768:3072:768,nn:32768:768:3072,nt:32768:768:3072,"
                    + "tn:768:3072:32768,tn:768:768:32768");
    private static final int SAMPLES = 16;

    private final PtxDevice device;
    private final DeviceStream stream;
    private final int repeats;
    private final List<Map<String, Object>> lines = new ArrayList<>();
    private boolean right = true;

    private GemmTimes(PtxDevice device, int repeats) {
        this.device = device;
        this.repeats = repeats;
        stream = device.stream();
    }

    /** Parses a product, layout:m:n:k. */
    private static HopperGemm.Product product(String name) {
        String[] parts = name.split(":");
        int[] sizes = Arrays.stream(parts).skip(1).mapToInt(Integer::parseInt).toArray();
        return new HopperGemm.Product(
                parts[0].charAt(0) == 't', parts[0].charAt(1) == 't', 1, sizes[0], sizes[1], sizes[2]);
    }

    /** Returns multiples of 1 / most, which are exact in 16 bits. */
    private static float[][] matrix(long seed, int rows, int columns, int most) {
        float[][] matrix = Features.random(seed, rows, columns).u();
        Arrays.stream(matrix).parallel().forEach(row -> {
            for (int i = 0; i < row.length; i++) {
                row[i] = (float) Math.rint(row[i] * most) / most;
            }
        });
        return matrix;
    }

    private Map<String, Object> measured(String name, Precision precision) {
        HopperGemm.Product p = product(name);
        int most = precision == Precision.BF16 ? 1 << 7 : 1 << 10;
        float[][] a = p.transA() ? matrix(1, p.k(), p.m(), most) : matrix(1, p.m(), p.k(), most);
        float[][] b = p.transB() ? matrix(2, p.n(), p.k(), most) : matrix(2, p.k(), p.n(), most);
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("product", name);
        line.put("precision", precision.toString());
        HopperGemm gemm = new HopperGemm(device, precision);
        long bytes = HopperGemm.workspaceBytes(p, HopperGemm.Result.of(1));
        try (DeviceStorage left = Features.upload(device, a);
                DeviceStorage right = Features.upload(device, b);
                DeviceStorage leftImage = device.allocate(HopperGemm.imageBytes(a.length, a[0].length));
                DeviceStorage rightImage = device.allocate(HopperGemm.imageBytes(b.length, b[0].length));
                DeviceStorage c = device.allocate(4L * p.m() * p.n());
                DeviceStorage workspace = device.allocate(Math.max(4, bytes))) {
            Runnable pack = () -> {
                gemm.pack(stream, left.address(), 1, a.length, a[0].length, leftImage.address());
                gemm.pack(stream, right.address(), 1, b.length, b[0].length, rightImage.address());
            };
            Runnable multiply = () -> gemm.multiply(
                    stream,
                    p,
                    leftImage.address(),
                    rightImage.address(),
                    HopperGemm.Result.of(c.address()),
                    workspace.address(),
                    bytes);
            stream.fill(c, (byte) -1);
            pack.run();
            multiply.run();
            check(line, p, a, b, c);
            put(line, p, "own", milliseconds(multiply));
            line.put("packMilliseconds", milliseconds(pack));
            int parts = (int) Math.max(1, bytes / (4L * p.m() * p.n()));
            line.put("parts", parts);
            line.put("predictedMilliseconds", CostModel.product(p.m(), p.n(), p.k(), parts));
        }
        MatrixLibrary library = MatrixLibrary.of(device).library();
        line.put(
                "library", library == null ? "none: " + MatrixLibrary.of(device).reason() : library.name());
        if (library != null) {
            library(line, p, precision, a, b, library);
        }
        return line;
    }

    /** Column-major: C^T = op(B)^T op(A)^T; C in 16 bits, the fastest type of result. */
    private void library(
            Map<String, Object> line,
            HopperGemm.Product p,
            Precision precision,
            float[][] a,
            float[][] b,
            MatrixLibrary library) {
        MatrixLibrary.Element type =
                precision == Precision.BF16 ? MatrixLibrary.Element.BF16 : MatrixLibrary.Element.F16;
        MatrixLibrary.Product product = new MatrixLibrary.Product(
                p.transB(),
                p.transA(),
                p.n(),
                p.m(),
                p.k(),
                1,
                0,
                p.transB() ? p.k() : p.n(),
                p.transA() ? p.m() : p.k(),
                p.n(),
                0,
                0,
                0,
                1,
                type,
                type,
                false);
        try (DeviceStorage left = sixteen(a, precision);
                DeviceStorage right = sixteen(b, precision);
                DeviceStorage c = device.allocate(2L * p.m() * p.n())) {
            put(
                    line,
                    p,
                    "library",
                    milliseconds(
                            () -> library.multiply(stream, product, right.address(), left.address(), c.address())));
        }
    }

    private DeviceStorage sixteen(float[][] rows, Precision precision) {
        CublasProduct.Type type = CublasProduct.Type.valueOf(precision.name());
        DeviceStorage storage = device.allocate(2L * rows.length * rows[0].length);
        ByteBuffer row = ByteBuffer.allocateDirect(2 * rows[0].length).order(ByteOrder.nativeOrder());
        for (int i = 0; i < rows.length; i++) {
            row.clear();
            for (float value : rows[i]) {
                type.put(row, value);
            }
            storage.upload((long) i * row.capacity(), row.flip());
        }
        return storage;
    }

    private static void put(Map<String, Object> line, HopperGemm.Product p, String whose, double milliseconds) {
        line.put(whose + "Milliseconds", milliseconds);
        line.put(whose + "Teraflops", 2e-9 * p.m() * p.n() * p.k() / milliseconds);
    }

    /** Returns the median after one warm-up run. */
    private double milliseconds(Runnable work) {
        double[] times = new double[repeats];
        for (int i = -1; i < repeats; i++) {
            try (DeviceStream.Event begin = stream.record()) {
                work.run();
                try (DeviceStream.Event end = stream.record()) {
                    times[Math.max(i, 0)] = end.millisecondsSince(begin);
                }
            }
        }
        Arrays.sort(times);
        return times[repeats / 2];
    }

    private void check(Map<String, Object> line, HopperGemm.Product p, float[][] a, float[][] b, DeviceStorage c) {
        double furthest = 0;
        ByteBuffer element = ByteBuffer.allocateDirect(4).order(ByteOrder.nativeOrder());
        for (int s = 0; s < SAMPLES; s++) {
            int i = (int) ((long) s * (p.m() - 1) / (SAMPLES - 1));
            int j = (int) (s * 2_654_435_761L % p.n());
            double sum = 0;
            double size = 0;
            for (int k = 0; k < p.k(); k++) {
                double term = (double) (p.transA() ? a[k][i] : a[i][k]) * (p.transB() ? b[j][k] : b[k][j]);
                sum += term;
                size += Math.abs(term);
            }
            c.download(4 * ((long) i * p.n() + j), element.clear());
            double error = Math.abs(element.getFloat(0) - sum) / (size * (4 + p.k() / 16.0) * 0x1p-23);
            furthest = error >= 0 ? Math.max(furthest, error) : Double.POSITIVE_INFINITY; // NaN too
        }
        line.put("errorInBounds", furthest);
        line.put("agrees", furthest <= 1);
        right &= furthest <= 1;
    }

    private void print() {
        System.out.printf(
                "%-22s %5s %11s %9s %11s %11s %11s %9s %7s%n",
                "product", "type", "own ms", "TFLOP/s", "predicted", "packs ms", "library ms", "TFLOP/s", "agrees");
        for (Map<String, Object> line : lines) {
            System.out.printf("%-22s %5s ", line.get("product"), line.get("precision"));
            if (!line.containsKey("ownMilliseconds")) {
                System.out.println(line.get("skipped"));
                continue;
            }
            System.out.printf(
                    "%11.4f %9.4g %11.4f %11.4f %11s %9s %7s%n",
                    line.get("ownMilliseconds"),
                    line.get("ownTeraflops"),
                    line.get("predictedMilliseconds"),
                    line.get("packMilliseconds"),
                    text("%.4f", line.get("libraryMilliseconds")),
                    text("%.4g", line.get("libraryTeraflops")),
                    line.get("agrees"));
        }
    }

    private static String text(String format, Object value) {
        return value == null ? "-" : String.format(format, value);
    }

    private void run(Map<String, String> options, Map<String, Object> report) throws IOException {
        long end = System.nanoTime() + (long) (1e9 * Double.parseDouble(options.get("seconds")));
        report.put("products", lines);
        for (String name : options.get("products").split(",")) {
            for (Precision precision : List.of(Precision.BF16, Precision.F16)) {
                Map<String, Object> line = System.nanoTime() < end
                        ? measured(name, precision)
                        : Map.of("product", name, "precision", precision.toString(), "skipped", "no time");
                lines.add(line);
                new ObjectMapper()
                        .enable(SerializationFeature.INDENT_OUTPUT)
                        .writeValue(Path.of(options.get("out"), "gemm.json").toFile(), report);
            }
        }
    }

    /**
     * @param arguments name=value: device, out, seconds after which nothing is begun, repeats, products as layout:m:n:k
     */
    public static void main(String[] arguments) throws IOException {
        Locale.setDefault(Locale.ROOT);
        Map<String, String> options = new TreeMap<>(USUAL);
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            if (parts.length != 2 || options.replace(parts[0], parts[1]) == null) {
                throw new IllegalArgumentException(
                        "\"" + argument + "\" given, expected name=value with one of " + USUAL.keySet());
            }
        }
        Files.createDirectories(Path.of(options.get("out")));
        try (PtxDevice device = Backend.device(options.get("device"))) {
            Map<String, Object> report = new LinkedHashMap<>();
            report.put("date", Instant.now().toString());
            report.put("device", device.facts());
            report.put("timesMeanSomething", device instanceof CudaDevice);
            if (device.facts().architecture() != 90) {
                System.out.println("nothing measured: these products run on sm_90 alone, this is sm_"
                        + device.facts().architecture());
                return;
            }
            GemmTimes times = new GemmTimes(device, Integer.parseInt(options.get("repeats")));
            times.run(options, report);
            times.print();
            if (!times.right) {
                System.out.println("SOMETHING DISAGREED: see gemm.json");
                System.exit(1);
            }
        }
    }
}
