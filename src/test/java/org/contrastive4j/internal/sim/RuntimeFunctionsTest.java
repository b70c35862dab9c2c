package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;

/**
 * What nvcc's output calls and names beyond plain instructions: printf, assert, malloc, function tables, parameters.
 */
final class RuntimeFunctionsTest {
    private static final String HEAD = """
            .version 8.0
            .target sm_80
            .address_size 64
            """;

    private static final String ENTRY = """
            .visible .entry k(.param .u64 pout, .param .align 4 .b8 pstruct[12])
            {
            .reg .pred %p;
            .reg .b32 %r<12>;
            .reg .b64 %rd<12>;
            .reg .f64 %d<4>;
            ld.param.u64 %rd0, [pout];
            mov.u32 %r0, %tid.x;
            mad.wide.u32 %rd1, %r0, 4, %rd0;
            """;

    private static final byte[] STRUCT = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0};

    private static int[] run(List<String> printed, int threads, String text) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.ints(device, new int[32])) {
            device.onPrint(printed::add);
            device.module("k.ptx", text).kernel("k").launch(device.stream(), Launch.of(1, threads), out, STRUCT);
            return Devices.toInts(out);
        }
    }

    @Test
    void printf_printsItsArguments() {
        List<String> printed = new ArrayList<>();
        String format = "thread %d of %u: %.2f %g %5s|%c|%x %lld %%\n\0";
        StringBuilder bytes = new StringBuilder();
        format.chars().forEach(c -> bytes.append(bytes.isEmpty() ? "" : ", ").append(c));
        String text = HEAD + """
                .extern .func (.param .b32 func_retval0) vprintf
                (.param .b64 vprintf_param_0, .param .b64 vprintf_param_1);
                .global .align 1 .b8 format[%d] = {%s};
                .global .align 1 .b8 word[3] = {104, 105, 0};
                """.formatted(format.length(), bytes) + ENTRY + """
                .local .align 8 .b8 depot[64];
                mov.u64 %rd2, depot;
                cvta.local.u64 %rd3, %rd2;
                st.local.u32 [%rd2], %r0;
                st.local.u32 [%rd2+4], 4294967295;
                mov.f64 %d0, 0d3FF4000000000000;
                st.local.f64 [%rd2+8], %d0;
                st.local.f64 [%rd2+16], %d0;
                mov.u64 %rd4, word;
                cvta.global.u64 %rd4, %rd4;
                st.local.u64 [%rd2+24], %rd4;
                st.local.u32 [%rd2+32], 65;
                st.local.u32 [%rd2+36], 255;
                st.local.u64 [%rd2+40], -7;
                mov.u64 %rd5, format;
                cvta.global.u64 %rd5, %rd5;
                {
                .param .b64 param0;
                st.param.b64 [param0], %rd5;
                .param .b64 param1;
                st.param.b64 [param1], %rd3;
                .param .b32 retval0;
                call.uni (retval0), vprintf, (param0, param1);
                ld.param.b32 %r1, [retval0];
                }
                st.global.u32 [%rd1], %r1;
                ret;
                }
                """;
        int[] result = run(printed, 2, text);
        assertEquals(
                List.of(
                        "thread 0 of 4294967295: 1.25 1.25    hi|A|ff -7 %\n",
                        "thread 1 of 4294967295: 1.25 1.25    hi|A|ff -7 %\n"),
                printed);
        assertEquals(8, result[0]);
    }

    @Test
    void assertfail_isAFaultWithItsTextAndLine() {
        String text = HEAD + """
                .extern .func __assertfail
                (.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);
                .global .align 1 .b8 message[6] = {105, 32, 60, 32, 110, 0};
                .global .align 1 .b8 file[5] = {97, 46, 99, 117, 0};
                .global .align 1 .b8 function[2] = {102, 0};
                """ + ENTRY + """
                mov.u64 %rd2, message;
                cvta.global.u64 %rd2, %rd2;
                mov.u64 %rd3, file;
                cvta.global.u64 %rd3, %rd3;
                mov.u64 %rd4, function;
                cvta.global.u64 %rd4, %rd4;
                setp.lt.u32 %p, %r0, 3;
                @%p bra OK;
                {
                .param .b64 param0;
                st.param.b64 [param0], %rd2;
                .param .b64 param1;
                st.param.b64 [param1], %rd3;
                .param .b32 param2;
                st.param.b32 [param2], 42;
                .param .b64 param3;
                st.param.b64 [param3], %rd4;
                .param .b64 param4;
                st.param.b64 [param4], 1;
                call.uni __assertfail, (param0, param1, param2, param3, param4);
                }
                OK:
                ret;
                }
                """;
        run(new ArrayList<>(), 3, text);
        String message =
                assertThrows(Fault.class, () -> run(new ArrayList<>(), 4, text)).getMessage();
        assertTrue(message.contains("assertion failed at a.cu:42 in f: i < n"), message);
        assertTrue(message.contains("thread (3, 0, 0)"), message);
    }

    private static final String HEAP = """
            .extern .func (.param .b64 r) malloc (.param .b64 n);
            .extern .func free (.param .b64 p);
            """;

    @Test
    void malloc_givesMemoryUntilItIsFreed() {
        String body = ENTRY + """
                {
                .param .b64 param0;
                st.param.b64 [param0], 16;
                .param .b64 retval0;
                call.uni (retval0), malloc, (param0);
                ld.param.b64 %rd2, [retval0];
                }
                st.u32 [%rd2+12], %r0;
                ld.u32 %r1, [%rd2+12];
                st.global.u32 [%rd1], %r1;
                {
                .param .b64 param0;
                st.param.b64 [param0], %rd2;
                call.uni free, (param0);
                }
                LAST
                ret;
                }
                """;
        int[] result = run(new ArrayList<>(), 32, HEAD + HEAP + body.replace("LAST", ""));
        assertArrayEquals(IntStream.range(0, 32).toArray(), result);
        Fault fault = assertThrows(
                Fault.class,
                () -> run(new ArrayList<>(), 1, HEAD + HEAP + body.replace("LAST", "ld.u32 %r1, [%rd2];")));
        assertEquals(Fault.Kind.OUT_OF_BOUNDS, fault.kind());
    }

    /** CUTLASS takes the address of a structure that is passed by value. */
    @Test
    void addressOfAParameter_canBeLoadedFrom() {
        int[] result = run(new ArrayList<>(), 3, HEAD + ENTRY + """
                mov.b64 %rd2, pstruct;
                mad.wide.u32 %rd3, %r0, 4, %rd2;
                ld.param.u32 %r1, [%rd3];
                cvta.param.u64 %rd4, %rd3;
                ld.u32 %r2, [%rd4];
                mad.lo.u32 %r1, %r1, 10, %r2;
                st.global.u32 [%rd1], %r1;
                ret;
                }
                """);
        assertArrayEquals(
                new int[] {11, 22, 33, 0},
                IntStream.range(0, 4).map(i -> result[i]).toArray());
    }

    private static final String TABLE = """
            .func (.param .b32 r) twice(.param .b32 x)
            { .reg .b32 %a; ld.param.b32 %a, [x]; add.u32 %a, %a, %a; st.param.b32 [r], %a; ret; }
            .func (.param .b32 r) square(.param .b32 x)
            { .reg .b32 %a; ld.param.b32 %a, [x]; mul.lo.u32 %a, %a, %a; st.param.b32 [r], %a; ret; }
            .global .align 8 .u64 table[2] = {twice, square};
            """;

    private static final String THROUGH_TABLE = """
            and.b32 %r2, %r0, 1;
            mov.u64 %rd2, table;
            mad.wide.u32 %rd2, %r2, 8, %rd2;
            ld.global.u64 %rd3, [%rd2];
            {
            .param .b32 param0;
            st.param.b32 [param0], %r0;
            .param .b32 retval0;
            prototype_0 : .callprototype (.param .b32 _) _ (.param .b32 _);
            call (retval0), %rd3, (param0), prototype_0;
            ld.param.b32 %r1, [retval0];
            }
            bar.sync 0;
            st.global.u32 [%rd1], %r1;
            ret;
            }
            """;

    @Test
    void callThroughATable_lanesWithDifferentFunctions_comeTogetherAgain() {
        int[] result = run(new ArrayList<>(), 32, HEAD + TABLE + ENTRY + THROUGH_TABLE);
        assertArrayEquals(
                IntStream.range(0, 32).map(i -> i % 2 == 0 ? 2 * i : i * i).toArray(), result);
    }

    @Test
    void callThroughARegister_ofNoFunction_isAFault() {
        String text = HEAD + TABLE + ENTRY + THROUGH_TABLE.replace("ld.global.u64 %rd3, [%rd2];", "mov.u64 %rd3, 4;");
        Fault fault = assertThrows(Fault.class, () -> run(new ArrayList<>(), 1, text));
        assertEquals(Fault.Kind.ILLEGAL, fault.kind());
        assertTrue(fault.getMessage().contains("address of a function"), fault.getMessage());
    }

    @Test
    void unsupportedEntry_refusesItselfOnly() {
        String text = HEAD + """
                .visible .entry odd() { .reg .b32 %a; tanhh.approx.f32 %a, %a; ret; }
                """ + ENTRY + "st.global.u32 [%rd1], 5;\nret;\n}\n";
        assertEquals(5, run(new ArrayList<>(), 1, text)[0]);
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            PtxModule module = device.module("k.ptx", text);
            assertEquals(List.of("odd", "k"), module.kernels());
            String message =
                    assertThrows(PtxException.class, () -> module.kernel("odd")).getMessage();
            assertTrue(message.contains("tanhh.approx.f32"), message);
        }
    }

    /** nvcc -lineinfo: the message names the line of the CUDA source, of both accesses for a race. */
    @Test
    void fault_ofAKernelWithLineInformation_namesTheSourceLine() {
        String text = HEAD + ENTRY + """
                .loc 1 12 5
                st.global.u32 [%rd0], %r0;
                .loc 1 13 5
                ret;
                }
                .file 1 "/home/someone/src/add.cu"
                """;
        String message =
                assertThrows(Fault.class, () -> run(new ArrayList<>(), 2, text)).getMessage();
        assertEquals(3, message.split("add.cu:12", -1).length, message);
    }
}
