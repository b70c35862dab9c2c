package org.contrastive4j.internal.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.parse.Parameter;
import org.contrastive4j.internal.parse.Signatures;
import org.junit.jupiter.api.Test;

/** Layout of the parameter space, and every way an argument can be wrong. */
class ArgumentsTest {
    private final PtxDevice device = device();
    private final PtxDevice other = device();

    /** Only its identity matters. */
    private static PtxDevice device() {
        return (PtxDevice) Proxy.newProxyInstance(
                PtxDevice.class.getClassLoader(), new Class<?>[] {PtxDevice.class}, (proxy, method, arguments) -> {
                    throw new AssertionError("packing asked the device for " + method);
                });
    }

    private static final class Block extends DeviceStorage {
        private final Block whole;

        Block(PtxDevice memory, Block whole) {
            super(memory, 64);
            this.whole = whole;
        }

        @Override
        public long address() {
            checkOpen();
            if (whole != null) {
                whole.checkOpen();
            }
            return 0x7f00_1234_5600L;
        }

        @Override
        public DeviceStorage view(long at, long bytes) {
            throw new AssertionError();
        }

        @Override
        public void upload(long at, ByteBuffer source) {
            throw new AssertionError();
        }

        @Override
        public void download(long at, ByteBuffer target) {
            throw new AssertionError();
        }

        @Override
        protected void free() {}
    }

    private static List<Parameter> declared(String parameters) {
        return Signatures.of("k.ptx", ".visible .entry k(" + parameters + ") { ret; }")
                .get("k");
    }

    private String refusal(String parameters, Object... given) {
        String message = assertThrows(
                        LaunchException.class, () -> Arguments.pack(device, "k", declared(parameters), given))
                .getMessage();
        assertTrue(message.startsWith("kernel k"), message);
        return message;
    }

    @Test
    void pack_everyType_isAtItsOffset() {
        List<Parameter> declared =
                declared(".param .u8 a, .param .u64 x, .param .f32 s, .param .s16 h, .param .align 8 .b8 v[12],"
                        + ".param .f64 d, .param .b32 bits, .param .s64 n, .param .b16 half, .param .u32 i, "
                        + ".param .b64 d2");
        byte[] packed = Arguments.pack(
                device,
                "k",
                declared,
                (byte) 7,
                new Block(device, null),
                1.5f,
                (short) -2,
                new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                2.5,
                3.5f,
                -4L,
                (short) 0x3c00,
                5,
                6.5);
        ByteBuffer expected = ByteBuffer.allocate(80).order(ByteOrder.nativeOrder());
        expected.put(0, (byte) 7)
                .putLong(8, 0x7f00_1234_5600L)
                .putFloat(16, 1.5f)
                .putShort(20, (short) -2);
        expected.put(24, new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
                .putDouble(40, 2.5)
                .putFloat(48, 3.5f);
        expected.putLong(56, -4L).putShort(64, (short) 0x3c00).putInt(68, 5).putDouble(72, 6.5);
        assertArrayEquals(expected.array(), packed);
    }

    @Test
    void pack_noParameters_isEmpty() {
        assertEquals(0, Arguments.pack(device, "k", List.of()).length);
        assertEquals(0, Arguments.pack(device, "k", List.of(), (Object[]) null).length);
    }

    @Test
    void pack_wrongCount_isRefused() {
        assertEquals(
                "kernel k was given 1 arguments, expected 2: .u64 x, .u32 n",
                refusal(".param .u64 x, .param .u32 n", 1L));
        assertEquals("kernel k was given 2 arguments, expected 1: .b8 v[4]", refusal(".param .b8 v[4]", 1L, 2L));
        refusal("", 1);
        refusal(".param .u64 x", (Object[]) null);
    }

    @Test
    void pack_wrongType_isRefused() {
        assertEquals(
                "kernel k, argument 2: parameter .f32 a was given the Integer 3, expected a Float",
                refusal(".param .u64 x, .param .f32 a", 1L, 3));
        assertEquals(
                "kernel k, argument 1: parameter .u32 n was given the Long 3, expected an Integer",
                refusal(".param .u32 n", 3L));
        for (Object wrong : new Object[] {1, 1f, 1.0, (short) 1, (byte) 1, new byte[8], "x", 'c', true, new float[1]}) {
            refusal(".param .u64 x", wrong);
        }
        for (Object wrong :
                new Object[] {1L, 1f, 1.0, (short) 1, (byte) 1, new byte[4], "x", new Block(device, null)}) {
            refusal(".param .s32 x", wrong);
        }
        for (Object wrong : new Object[] {1L, 1, 1.0, new Block(device, null)}) {
            refusal(".param .f32 x", wrong);
        }
        for (Object wrong : new Object[] {1L, 1, 1f, new Block(device, null)}) {
            refusal(".param .f64 x", wrong);
        }
        refusal(".param .b16 x", 1);
        refusal(".param .b8 x", 1);
        refusal(".param .u16 x", (byte) 1);
    }

    @Test
    void pack_array_takesExactlyItsBytes() {
        assertEquals(
                "kernel k, argument 1: parameter .b8 s[16] was given a byte[15], expected a byte[16]",
                refusal(".param .b8 s[16]", (Object) new byte[15]));
        assertEquals(
                "kernel k, argument 1: parameter .u16 s[3] was given the Short 1, expected a byte[6]",
                refusal(".param .u16 s[3]", (short) 1));
        refusal(".param .u64 s[1]", new Block(device, null));
        refusal(".param .u64 s[1]", 1L);
        refusal(".param .u64 s", (Object) new byte[8]);
    }

    @Test
    void pack_closedOrForeignStorage_isRefused() {
        Block block = new Block(device, null);
        Block view = new Block(device, block);
        assertEquals(
                "kernel k, argument 1: parameter .u64 x was given a storage of 64 bytes of another device, "
                        + "expected an open storage of this device or a Long",
                refusal(".param .u64 x", new Block(other, null)));
        Arguments.pack(device, "k", declared(".param .u64 x"), view);
        block.close();
        assertEquals(
                "kernel k, argument 1: parameter .u64 x was given a storage of 64 bytes that was closed, "
                        + "expected an open storage of this device or a Long",
                refusal(".param .u64 x", block));
        assertTrue(refusal(".param .u64 x", view).contains("that was closed"));
    }

    @Test
    void pack_null_isRefused() {
        assertEquals(
                "kernel k, argument 2: parameter .f32 a was given null, expected a Float",
                refusal(".param .u64 x, .param .f32 a", 1L, null));
    }
}
