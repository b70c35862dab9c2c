package org.contrastive4j.internal.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jcuda.nvptxcompiler.JNvPTXCompiler;
import jcuda.nvptxcompiler.nvPTXCompileResult;
import jcuda.nvptxcompiler.nvPTXCompilerHandle;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.parse.Signatures;

/**
 * NVIDIA's assembler of CUDA 12.0, which needs neither a GPU nor a driver: assembles PTX up to {@code .version 8.0} and
 * reports registers, spills, shared memory and barriers of each kernel.
 *
 * <p>It runs inside this process. Invalid text usually gives a {@link PtxException}, but some rare errors, such as
 * {@code _} in place of the destination register of a load, crash the assembler and with it the process. Therefore pass
 * only trusted text, such as the kernels of this library.
 *
 * <p>A driver assembles the text again with its own, often newer assembler, so the resources on a GPU may differ
 * slightly.
 */
public final class PtxAssembler {
    private static final Pattern COMPILING = Pattern.compile("Compiling entry function '([^']+)'");
    private static final Pattern PROPERTIES = Pattern.compile("Function properties for (\\S+)");
    private static final Pattern STACK =
            Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
    private static final Pattern USED = Pattern.compile("Used (\\d+) registers(?:.*?, (\\d+) bytes smem)?");
    private static final String SECTION = ".text.";
    private static final Object ONE_AT_A_TIME = new Object();

    private PtxAssembler() {}

    /**
     * Assembles a text and returns the resources of its kernels.
     *
     * @param file for messages
     * @param architecture such as {@code sm_90a}
     * @throws PtxException naming the line and what is wrong there
     * @throws DeviceException when the assembler is not installed or fails
     */
    public static Assembly assemble(String file, String ptx, String architecture) {
        PtxHeader header = PtxHeader.read(file, ptx);
        byte[] text = header.text().getBytes(StandardCharsets.UTF_8);
        nvPTXCompilerHandle compiler = new nvPTXCompilerHandle();
        synchronized (ONE_AT_A_TIME) {
            check(create(compiler, text), "nvPTXCompilerCreate");
            try {
                int result = JNvPTXCompiler.nvPTXCompilerCompile(
                        compiler, 2, new String[] {"--gpu-name=" + architecture, "--verbose"});
                if (result != nvPTXCompileResult.NVPTXCOMPILE_SUCCESS) {
                    throw failure(file, header, architecture, result, errors(compiler));
                }
                String log = log(compiler);
                return new Assembly(
                        architecture,
                        entries(file, ptx, log, barriers(program(compiler))),
                        AssemblerLog.advisories(log),
                        log);
            } finally {
                JNvPTXCompiler.nvPTXCompilerDestroy(compiler);
            }
        }
    }

    /**
     * Returns the version of the CUDA toolkit that the assembler is from, such as 12.0.
     *
     * @throws DeviceException when the assembler is not installed
     */
    public static String version() {
        int[] major = new int[1];
        int[] minor = new int[1];
        try {
            JNvPTXCompiler.setExceptionsEnabled(false);
            check(JNvPTXCompiler.nvPTXCompilerGetVersion(major, minor), "nvPTXCompilerGetVersion");
        } catch (LinkageError e) {
            throw missing(e);
        }
        return major[0] + "." + minor[0];
    }

    private static DeviceException missing(LinkageError fault) {
        return new DeviceException(
                JCudaPlatform.supported()
                        ? JCudaPlatform.unloadable("the PTX assembler in jcuda-natives", fault)
                        : JCudaPlatform.problem("no PTX assembler"),
                fault);
    }

    private static int create(nvPTXCompilerHandle compiler, byte[] text) {
        try {
            JNvPTXCompiler.setExceptionsEnabled(false);
            return JNvPTXCompiler.nvPTXCompilerCreate(compiler, text.length, Arrays.copyOf(text, text.length + 1));
        } catch (LinkageError e) {
            throw missing(e);
        }
    }

    private static void check(int result, String call) {
        if (result != nvPTXCompileResult.NVPTXCOMPILE_SUCCESS) {
            throw new DeviceException(call + " of the PTX assembler failed: " + nvPTXCompileResult.stringFor(result));
        }
    }

    private static PtxException failure(String file, PtxHeader header, String architecture, int result, String log) {
        if (result == nvPTXCompileResult.NVPTXCOMPILE_ERROR_UNSUPPORTED_PTX_VERSION) {
            PtxException failure = AssemblerLog.failure(file, log, "unsupported .version");
            return new PtxException(
                    file,
                    failure.line(),
                    0,
                    ".version " + header.version()
                            + " is not supported by the assembler of "
                            + "CUDA " + version() + "; expected .version 8.0 or less, and one that supports "
                            + header.target());
        }
        if (log.contains("option 'gpu-name'")) {
            return new PtxException(
                    file,
                    0,
                    0,
                    "cannot be assembled for \"" + architecture
                            + "\", expected an architecture that this assembler supports, such as sm_80 or sm_90a");
        }
        return AssemblerLog.failure(
                file, log, "the assembler for " + architecture + " gave " + nvPTXCompileResult.stringFor(result));
    }

    private static String errors(nvPTXCompilerHandle compiler) {
        long[] size = new long[1];
        check(JNvPTXCompiler.nvPTXCompilerGetErrorLogSize(compiler, size), "nvPTXCompilerGetErrorLogSize");
        byte[] log = new byte[(int) size[0] + 1];
        if (size[0] > 0) {
            check(JNvPTXCompiler.nvPTXCompilerGetErrorLog(compiler, log), "nvPTXCompilerGetErrorLog");
        }
        return AssemblerLog.text(log);
    }

    private static String log(nvPTXCompilerHandle compiler) {
        long[] size = new long[1];
        check(JNvPTXCompiler.nvPTXCompilerGetInfoLogSize(compiler, size), "nvPTXCompilerGetInfoLogSize");
        byte[] log = new byte[(int) size[0] + 1];
        if (size[0] > 0) {
            check(JNvPTXCompiler.nvPTXCompilerGetInfoLog(compiler, log), "nvPTXCompilerGetInfoLog");
        }
        return AssemblerLog.text(log);
    }

    private static ByteBuffer program(nvPTXCompilerHandle compiler) {
        long[] size = new long[1];
        check(
                JNvPTXCompiler.nvPTXCompilerGetCompiledProgramSize(compiler, size),
                "nvPTXCompilerGetCompiledProgramSize");
        byte[] program = new byte[(int) size[0]];
        check(JNvPTXCompiler.nvPTXCompilerGetCompiledProgram(compiler, program), "nvPTXCompilerGetCompiledProgram");
        return ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Returns the number of barriers of each kernel: bits 20 to 26 of the flags of its ELF section; the log omits them.
     */
    private static Map<String, Integer> barriers(ByteBuffer elf) {
        int headers = (int) elf.getLong(40);
        int size = elf.getShort(58);
        int names = (int) elf.getLong(headers + size * elf.getShort(62) + 24);
        Map<String, Integer> barriers = new LinkedHashMap<>();
        for (int section = 0; section < elf.getShort(60); section++) {
            int header = headers + size * section;
            int at = names + elf.getInt(header);
            int end = at;
            while (elf.get(end) != 0) {
                end++;
            }
            String name = new String(elf.array(), at, end - at, StandardCharsets.US_ASCII);
            if (name.startsWith(SECTION)) {
                barriers.put(name.substring(SECTION.length()), (int) (elf.getLong(header + 8) >> 20) & 0x7f);
            }
        }
        return barriers;
    }

    private static Map<String, Assembly.Entry> entries(
            String file, String ptx, String log, Map<String, Integer> barriers) {
        Map<String, Assembly.Entry> entries = new LinkedHashMap<>();
        Signatures.of(file, ptx).keySet().forEach(name -> entries.put(name, null));
        String entry = null;
        String function = null;
        int[] stack = new int[3];
        for (String line : log.lines().toList()) {
            Matcher matcher = COMPILING.matcher(line);
            if (matcher.find()) {
                entry = matcher.group(1);
            } else if ((matcher = PROPERTIES.matcher(line)).find()) {
                function = matcher.group(1);
            } else if ((matcher = STACK.matcher(line)).find() && function != null && function.equals(entry)) {
                for (int i = 0; i < stack.length; i++) {
                    stack[i] = Integer.parseInt(matcher.group(i + 1));
                }
            } else if ((matcher = USED.matcher(line)).find() && entry != null) {
                int shared = matcher.group(2) == null ? 0 : Integer.parseInt(matcher.group(2));
                entries.put(
                        entry,
                        new Assembly.Entry(
                                Integer.parseInt(matcher.group(1)),
                                stack[1],
                                stack[2],
                                stack[0],
                                shared,
                                barriers.getOrDefault(entry, 0)));
            }
        }
        entries.values().removeIf(Objects::isNull); // declared but not defined
        return entries;
    }
}
