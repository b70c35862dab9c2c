package org.contrastive4j.internal.parse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxModule.PtxException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every construct of the grammar, and where a message says that something is. */
class ParserTest {
    private static final String HEADER = ".version 8.0\n.target sm_90a\n.address_size 64\n";

    private static Program parse(String declarations) {
        return Parser.parse("test.ptx", HEADER + declarations);
    }

    /** The one function of a text with this body, after declarations of some registers. */
    private static Function body(String statements) {
        return parse("""
                .visible .entry k(.param .u64 p, .param .b32 n)
                {
                .reg .pred %p<4>;
                .reg .b32 %r<8>;
                .reg .f32 %f<8>;
                .reg .b64 %rd<8>;
                """ + statements + "\n}\n").functions().get(0);
    }

    private static Instruction one(String instruction) {
        List<Instruction> body = body(instruction).body();
        assertEquals(1, body.size(), instruction);
        return body.get(0);
    }

    private static Operand operand(String text) {
        return one("op.b32 " + text + ";").operands().get(0);
    }

    private static PtxException refused(String declarations) {
        return assertThrows(PtxException.class, () -> parse(declarations));
    }

    @Test
    void parse_header_readsVersionAndTarget() {
        Program program = Parser.parse("test.ptx", ".version 9.0\n.target sm_80, debug\n.address_size 64\n");
        assertEquals("9.0", program.version());
        assertEquals("sm_80", program.target());
        assertEquals(80, program.architecture());
        assertEquals(90, parse("").architecture());
        assertEquals("test.ptx", program.file());
        assertEquals(List.of(), program.variables());
        assertEquals(List.of(), program.functions());
    }

    @Test
    void parse_entry_readsItsDirectives() {
        Function function = parse("""
                .visible .entry k()
                .reqntid 128, 2, 1
                .maxnreg 64
                .minnctapersm 2
                .explicitcluster
                .reqnctapercluster 2
                .pragma "nounroll";
                { ret; }
                .weak .entry other() .maxntid 32, 1, 1 { }
                """).functions().get(0);
        assertEquals(List.of(128, 2, 1), function.directives().get(".reqntid"));
        assertEquals(List.of(64), function.directives().get(".maxnreg"));
        assertEquals(List.of(2), function.directives().get(".minnctapersm"));
        assertEquals(List.of(), function.directives().get(".explicitcluster"));
        assertEquals(List.of(2), function.directives().get(".reqnctapercluster"));
        assertTrue(function.entry() && function.defined());
    }

    @Test
    void parse_parameters_areAligned() {
        Function function = parse("""
                .visible .entry k(
                    .param .u8 a,
                    .param .f64 b,
                    .param .align 16 .b8 c[20],
                    .param .u64 .ptr .global .align 4 d,
                    .param .b32 e[3]
                ) { ret; }
                """).functions().get(0);
        assertEquals(
                List.of(
                        new Parameter("a", Type.U8, 1, false, 1, 0),
                        new Parameter("b", Type.F64, 1, false, 8, 8),
                        new Parameter("c", Type.B8, 20, true, 16, 16),
                        new Parameter("d", Type.U64, 1, false, 8, 40),
                        new Parameter("e", Type.B32, 3, true, 4, 48)),
                function.parameters());
        assertEquals(60, function.parameterBytes());
        assertEquals(List.of(), parse(".entry k { ret; }").functions().get(0).parameters());
    }

    @Test
    void parse_module_readsItsVariables() {
        List<Variable> variables = parse("""
                .global .align 16 .b8 bytes[5] = {1, 2, 0xFF};
                .visible .const .f32 half = 0f3F000000, third = 0.25;
                .global .s32 grid[2][3] = {{1, 2, -3}, {4}};
                .extern .shared .align 128 .b8 dynamic[];
                .shared .v4 .f32 quads[2];
                .global .u64 pointers[2] = {bytes, generic(grid)+8};
                .global .u16 open[] = {7, 8, 9};
                .extern .global .u32 elsewhere;
                """).variables();
        Variable bytes = variables.get(0);
        assertEquals(List.of(new Operand.Int(1), new Operand.Int(2), new Operand.Int(255)), bytes.initial());
        assertEquals(5, bytes.bytes());
        assertEquals(16, bytes.alignment());
        assertEquals(Variable.Space.CONST, variables.get(1).space());
        assertEquals(List.of(new Operand.Real(0.5)), variables.get(1).initial());
        assertEquals("third", variables.get(2).name());
        assertEquals(List.of(new Operand.Real(0.25)), variables.get(2).initial());
        assertEquals(24, variables.get(3).bytes());
        assertEquals(new Operand.Int(-3), variables.get(3).initial().get(2));
        assertTrue(variables.get(4).external());
        assertEquals(0, variables.get(4).bytes());
        assertEquals(128, variables.get(4).alignment());
        assertEquals(32, variables.get(5).bytes());
        assertEquals(16, variables.get(5).alignment());
        Operand.Symbol address = (Operand.Symbol) variables.get(6).initial().get(1);
        assertSame(variables.get(3), address.variable());
        assertEquals(8, address.offset());
        assertEquals(6, variables.get(7).bytes());
        assertTrue(variables.get(8).external());
        assertNull(variables.get(8).initial());
    }

    @Test
    void parse_functions_declaredAndDefined() {
        List<Function> functions = parse(
                        """
                .func (.param .b32 sum) add(.param .b32 a, .param .align 8 .b8 b[8]);
                .func (.param .b32 sum) add(.param .b32 a, .param .align 8 .b8 b[8]) { ret; }
                .extern .func external(.param .b32 a);
                .func nothing { ret; }
                .entry k() { call.uni (back), add, (x, y); }
                """.replace("call.uni", ".param .b32 back, x; .param .align 8 .b8 y[8]; call.uni"))
                .functions();
        assertFalse(functions.get(0).defined());
        assertTrue(functions.get(1).defined());
        assertFalse(functions.get(2).defined());
        assertFalse(functions.get(1).entry());
        assertEquals("sum", functions.get(1).returns().get(0).name());
        assertEquals(8, functions.get(1).parameters().get(1).offset());
        List<Operand> call = functions.get(4).body().get(0).operands();
        assertEquals(
                1, assertInstanceOf(Operand.Args.class, call.get(0)).elements().size());
        assertEquals(new Operand.Symbol("add", null, 0), call.get(1));
        assertEquals(
                2, assertInstanceOf(Operand.Args.class, call.get(2)).elements().size());
    }

    @Test
    void preprocess_hexadecimalLiterals_areKept(@TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("one.ptxh"), "#define ONE 0f3F800000\n#define TWO 0d4000000000000000\n");
        String text =
                Preprocessed.text("k.ptx", HEADER + "#include \"one.ptxh\"\n#define K 0F3FB8AA3B\nONE TWO K\n", folder);
        assertTrue(text.endsWith("0f3F800000 0d4000000000000000 0F3FB8AA3B\n"), text);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "5 | 5",
                "0x1F | 31",
                "0XfF | 255",
                "017 | 15",
                "0b101 | 5",
                "7U | 7",
                "-3 | -3",
                "- 3 | -3",
                "~0 | -1",
                "+4 | 4",
                "0xFFFFFFFFFFFFFFFF | -1",
                "18446744073709551615 | -1",
                "0 | 0"
            })
    void parse_integerLiteral(String text, long value) {
        assertEquals(new Operand.Int(value), operand(text));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "0f3F800000 | 1",
                "0FC0490FDB | -3.1415927410125732",
                "0d3FF8000000000000 | 1.5",
                "1.25 | 1.25",
                "-1.5e3 | -1500",
                "2.5e-1 | 0.25",
                "-0f40000000 | -2",
                "0f7F800000 | Infinity"
            })
    void parse_floatLiteral(String text, double value) {
        assertEquals(new Operand.Real(value), operand(text));
    }

    @Test
    void parse_registersAndSpecialRegisters() {
        assertEquals(
                "%r3",
                assertInstanceOf(Operand.Reg.class, operand("%r3")).register().name());
        assertEquals(Type.B32, ((Operand.Reg) operand("%r3")).register().type());
        assertTrue(((Operand.Reg) operand("!%p1")).negated());
        assertEquals(new Operand.Special("%tid.x"), operand("%tid.x"));
        assertEquals(new Operand.Special("%laneid"), operand("%laneid"));
        assertEquals(new Operand.Special("WARP_SZ"), operand("WARP_SZ"));
        assertEquals(new Operand.Sink(), operand("_"));
        Operand.Pair pair = assertInstanceOf(Operand.Pair.class, operand("%p1|_"));
        assertEquals("%p1", pair.first().toString());
        assertEquals(new Operand.Sink(), pair.second());
        assertThrows(PtxException.class, () -> operand("%r8"), "%r<8> ends with %r7");
        assertThrows(PtxException.class, () -> operand("%r03"));
        assertThrows(PtxException.class, () -> operand("%x"));
    }

    @Test
    void parse_vectorsAndAddresses() {
        Operand.Vec vector = assertInstanceOf(Operand.Vec.class, operand("{%r1, _, 5, %r2}"));
        assertEquals(
                List.of("%r1", "_", "5", "%r2"),
                vector.elements().stream().map(Object::toString).toList());
        Operand.Mem plain = assertInstanceOf(Operand.Mem.class, operand("[%rd1]"));
        assertEquals(0, plain.offset());
        assertEquals(-16, ((Operand.Mem) operand("[%rd1+-16]")).offset());
        assertEquals(-16, ((Operand.Mem) operand("[%rd1 - 16]")).offset());
        assertEquals(16, ((Operand.Mem) operand("[%rd1+0x10]")).offset());
        Operand.Symbol parameter = assertInstanceOf(Operand.Symbol.class, ((Operand.Mem) operand("[p+4]")).base());
        assertEquals("p", parameter.name());
        assertEquals(4, parameter.offset());
        assertEquals(new Operand.Int(64), ((Operand.Mem) operand("[64]")).base());
        assertEquals(
                2,
                ((Operand.Vec) ((Operand.Mem) operand("[%rd1, {%r1, %r2}]"))
                                .rest()
                                .get(0))
                        .elements()
                        .size());
        assertThrows(PtxException.class, () -> operand("[nowhere]"));
        assertThrows(PtxException.class, () -> operand("[%rd1+1.5]"));
    }

    @Test
    void parse_guardsAndModifiers() {
        Instruction plain = one("fence.proxy.async.shared::cta;");
        assertNull(plain.guard());
        assertEquals(List.of(".proxy", ".async", ".shared::cta"), plain.modifiers());
        assertEquals("fence.proxy.async.shared::cta", plain.name());
        assertTrue(plain.has(".async") && !plain.has(".shared"));
        Instruction guarded = one("@!%p2 add.s32 %r1, %r2,\n    -7 ; // why");
        assertTrue(guarded.guard().negated());
        assertEquals("%p2", guarded.guard().register().name());
        assertEquals("@!%p2 add.s32 %r1, %r2, -7", guarded.text());
        assertEquals(
                "add.s32 %r1, %r2, -7",
                one("add.s32   %r1,%r2,-7;").text().replace(",%", ", %").replace(",-", ", -"));
        assertFalse(one("@%p2 exit;").guard().negated());
    }

    @Test
    void parse_label_belongsToItsScope() {
        Function function = body("""
                Again:
                    bra End;
                {
                    .reg .b32 %r1;
                Again:
                    mov.u32 %r1, 1;
                    bra Again;
                }
                    mov.u32 %r1, 2;
                    bra.uni Again;
                End:
                    ret;
                """);
        List<Instruction> body = function.body();
        assertEquals(new Operand.Target("End", 5), body.get(0).operands().get(0), "forward");
        assertEquals(new Operand.Target("Again", 1), body.get(2).operands().get(0), "inner");
        assertEquals(new Operand.Target("Again", 0), body.get(4).operands().get(0), "outer");
        assertNotEquals(
                ((Operand.Reg) body.get(1).operands().get(0)).register(),
                ((Operand.Reg) body.get(3).operands().get(0)).register());
        assertEquals(
                new Operand.Target("L", 1),
                body("ret;\nL:\n bra L;").body().get(1).operands().get(0));
    }

    @Test
    void parse_branchTargets() {
        List<Instruction> body = body("""
                    brx.idx %r1, Table;
                Table: .branchtargets A, B, A;
                A:  mov.u32 %r1, 1;
                B:  ret;
                """).body();
        Operand.Targets targets =
                assertInstanceOf(Operand.Targets.class, body.get(0).operands().get(1));
        assertEquals(
                List.of(1, 2, 1),
                targets.targets().stream().map(Operand.Target::instruction).toList());
    }

    @Test
    void parse_function_readsItsVariables() {
        Function function = body("""
                .shared .align 8 .b64 full[2];
                .local .align 16 .b8 depot[24];
                .param .b32 given;
                mov.u32 %r1, full+8;
                { .local .b32 depot; mov.u32 %r2, depot; }
                mov.u32 %r3, depot;
                """);
        assertEquals(
                List.of(Variable.Space.SHARED, Variable.Space.LOCAL, Variable.Space.PARAM, Variable.Space.LOCAL),
                function.variables().stream().map(Variable::space).toList());
        assertEquals(8, ((Operand.Symbol) function.body().get(0).operands().get(1)).offset());
        assertEquals(
                4,
                ((Operand.Symbol) function.body().get(1).operands().get(1))
                        .variable()
                        .bytes());
        assertEquals(
                24,
                ((Operand.Symbol) function.body().get(2).operands().get(1))
                        .variable()
                        .bytes());
    }

    @Test
    void parse_debugInformation_isSkipped() {
        Function function = parse("""
                .file 1 "/home/somebody/kernel.cu"
                .pragma "unknown";
                .visible .entry k()
                {
                    .loc 1 5 3
                    .pragma "nounroll";
                    .reg .b32 %r<2>;
                    .loc 1 6 1, function_name info_string0, inlined_at 1 5 3
                    mov.u32 %r1, 1;;
                    ret;
                }
                .section .debug_str
                {
                info_string0:
                .b8 107, 0
                { nested }
                }
                """).functions().get(0);
        assertEquals(
                List.of("mov", "ret"),
                function.body().stream().map(Instruction::opcode).toList());
        assertEquals(12, function.body().get(0).line());
        assertEquals(5, function.body().get(0).column());
    }

    @Test
    void parse_error_namesLineAndColumn() {
        PtxException e = refused(".visible .entry k()\n{\n    /* two\n    lines */ mov.u32 %r1, 1;\n}\n");
        assertEquals(7, e.line());
        assertEquals("test.ptx:7:22: register %r1 is not declared", e.getMessage());
        assertEquals(22, e.column());
        assertEquals("test.ptx", e.file());
    }

    @Test
    void preprocess_lineMarks_areFollowed(@TempDir Path folder) throws IOException {
        Files.writeString(
                folder.resolve("parts.inc"), "#define COUNT 4\n#define TWICE(x) x, x\n.global .b32 included[COUNT];\n");
        String text = HEADER + """
                #include "parts.inc"
                #ifdef COUNT
                .global .b32 given[2] = {TWICE(COUNT)};
                #else
                .global .b32 missing;
                #endif
                .visible .entry k()
                {
                    mov.u32 %r1, COUNT;
                }
                """;
        String expanded = Preprocessed.text("main.ptx", text, folder);
        PtxException e = assertThrows(PtxException.class, () -> Parser.parse("main.ptx", expanded));
        assertEquals("main.ptx", e.file());
        assertEquals(12, e.line(), e.getMessage());
        Program program = Parser.parse("main.ptx", expanded.replace("%r1,", "_,"));
        assertEquals(
                List.of("included", "given"),
                program.variables().stream().map(Variable::name).toList());
        assertEquals(
                List.of(new Operand.Int(4), new Operand.Int(4)),
                program.variables().get(1).initial());
        assertEquals(
                new Operand.Int(4),
                program.functions().get(0).body().get(0).operands().get(1));
        assertEquals(12, program.functions().get(0).body().get(0).line());
    }

    @Test
    void parse_errorInAnIncludedFile_namesThatFile(@TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("parts.inc"), "\n.global .align 3 .b32 wrong;\n");
        String expanded = Preprocessed.text("main.ptx", HEADER + "#include \"parts.inc\"\n", folder);
        PtxException e = assertThrows(PtxException.class, () -> Parser.parse("main.ptx", expanded));
        assertTrue(e.file().endsWith("parts.inc"), e.file());
        assertEquals(2, e.line());
    }

    @Test
    void preprocess_textWithoutDirectives_isUnchanged() {
        String text = HEADER + "// 50 %% \"odd ' text\"\n";
        assertSame(text, Preprocessed.text("main.ptx", text, null));
    }

    @Test
    void preprocess_recursiveMacro_terminates() {
        StringBuilder text = new StringBuilder("#define A0 word\n");
        for (int i = 1; i <= 60; i++) {
            text.append("#define A")
                    .append(i)
                    .append(" A")
                    .append(i - 1)
                    .append(" A")
                    .append(i - 1)
                    .append('\n');
        }
        PtxException e = assertThrows(PtxException.class, () -> Preprocessed.text("main.ptx", text + "A60\n", null));
        assertTrue(e.getMessage().contains("expands to more than"), e.getMessage());
    }

    static Stream<Path> nvcc() throws IOException, URISyntaxException {
        try (Stream<Path> files =
                Files.list(Path.of(ParserTest.class.getResource("/ptx/nvcc").toURI()))) {
            return files.filter(file -> file.toString().endsWith(".ptx")).sorted().toList().stream();
        }
    }

    /** Every line that looks like an instruction is one instruction of the result, on its line. */
    @ParameterizedTest
    @MethodSource("nvcc")
    void parse_outputOfNvcc(Path file) throws IOException {
        String text = Files.readString(file);
        Program program = Parser.parse(file.getFileName().toString(), text);
        List<String> lines = text.lines().toList();
        List<Integer> seen = program.functions().stream()
                .flatMap(function -> function.body().stream())
                .map(Instruction::line)
                .toList();
        for (Function function : program.functions()) {
            for (Instruction instruction : function.body()) {
                String line = lines.get(instruction.line() - 1);
                assertTrue(
                        line.contains(instruction.name()),
                        instruction.name() + " is not in line " + instruction.line() + ": " + line);
            }
        }
        long statements = lines.stream()
                .map(line -> line.replaceFirst("//.*", "").strip())
                .filter(line -> line.matches("(@!?%\\w+ +|\\{ +)?[a-z]\\w*[.\\s].*;.*|(ret|exit|trap);"))
                .count();
        assertTrue(
                seen.size() >= statements && statements > 5,
                seen.size() + " instructions, " + statements + " lines that look like one");
        assertEquals(
                text.lines().filter(line -> line.startsWith(".visible .entry")).count(),
                program.entries().size());
    }
}
