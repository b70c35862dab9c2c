package org.contrastive4j.bench.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;

/**
 * out = A Bᵀ of 128 rows, 256 columns and depth 512 in bf16 by one block: two warp groups of 64 rows, stages of 64 deep
 * that bulk copies bring into shared memory, where rows are 128 bytes long and swizzled.
 */
final class WarpgroupTile implements AutoCloseable {
    private static final int ROWS = 128;
    private static final int COLUMNS = 256;
    private static final int DEPTH = 512;
    private static final int STAGE = 64;
    private static final int ACCUMULATORS = 128;

    private static final String PTX = """
            .version 8.0
            .target sm_90a
            .address_size 64
            .extern .shared .align 1024 .b8 stage[];
            .visible .entry tile(.param .u64 p_a, .param .u64 p_b, .param .u64 p_out)
            .reqntid 256, 1, 1
            {
                .shared .align 8 .b64 full;
                .reg .pred %first, %done, %more, %add;
                .reg .b32 %t, %at, %bt, %bar, %k, %parity, %group, %v;
                .reg .b64 %a, %b, %out, %token, %da, %db, %high, %x, %y;
                .reg .f32 %d<ACCUMULATORS>;
                ld.param.u64 %a, [p_a];
                ld.param.u64 %b, [p_b];
                ld.param.u64 %out, [p_out];
                mov.u32 %t, %tid.x;
                mov.u32 %at, stage;
                add.u32 %bt, %at, 16384;
                mov.u32 %bar, full;
                setp.eq.u32 %first, %t, 0;
                @%first mbarrier.init.shared.b64 [%bar], 1;
                @%first fence.mbarrier_init.release.cluster;
                bar.sync 0;
                mov.u64 %high, 0x4000004000010000;
                shr.u32 %group, %t, 7;
                mad.lo.u32 %v, %group, 8192, %at;
                shr.u32 %v, %v, 4;
                cvt.u64.u32 %da, %v;
                or.b64 %da, %da, %high;
                shr.u32 %v, %bt, 4;
                cvt.u64.u32 %db, %v;
                or.b64 %db, %db, %high;
                mov.u32 %k, 0;
                mov.u32 %parity, 0;
                setp.ne.u32 %add, %k, 0;
            Stage:
                @!%first bra Wait;
                mbarrier.arrive.expect_tx.shared.b64 %token, [%bar], 49152;
                cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%at], [%a], 16384, [%bar];
                cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%bt], [%b], 32768, [%bar];
            Wait:
                mbarrier.try_wait.parity.shared.b64 %done, [%bar], %parity;
                @!%done bra Wait;
                bar.warp.sync 0xFFFFFFFF;
                xor.b32 %parity, %parity, 1;
                wgmma.fence.sync.aligned;
            PRODUCTS
                wgmma.commit_group.sync.aligned;
                wgmma.wait_group.sync.aligned 0;
                bar.sync 0;
                add.u64 %a, %a, 16384;
                add.u64 %b, %b, 32768;
                add.u32 %k, %k, 1;
                setp.lt.u32 %more, %k, 8;
                @%more bra Stage;
                mad.wide.u32 %out, %t, 512, %out;
            STORES
                ret;
            }
            """;

    private final PtxDevice device;
    private final Kernel kernel;
    private final DeviceStorage a;
    private final DeviceStorage b;
    private final DeviceStorage out;

    /** @throws IllegalStateException when the product is wrong */
    WarpgroupTile(PtxDevice device) {
        this.device = device;
        kernel = device.module("tile.ptx", text()).kernel("tile");
        a = operand(ROWS, 7);
        b = operand(COLUMNS, 11);
        out = device.allocate(ROWS * COLUMNS * 4);
        run();
        check();
    }

    private static String text() {
        String registers = list(ACCUMULATORS, ", ", "%d#");
        StringBuilder products = new StringBuilder();
        for (int k = 0; k < STAGE / 16; k++) {
            products.append("    add.u64 %x, %da, ")
                    .append(2 * k)
                    .append(";\n    add.u64 %y, %db, ")
                    .append(2 * k)
                    .append(";\n    wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {")
                    .append(registers)
                    .append("}, %x, %y, %add, 1, 1, 0, 0;\n    setp.eq.u32 %add, %k, %k;\n");
        }
        return PTX.replace("PRODUCTS\n", products)
                .replace("STORES\n", list(ACCUMULATORS, "", "    st.global.f32 [%out+@], %d#;\n"))
                .replace("ACCUMULATORS", "" + ACCUMULATORS);
    }

    private static String list(int count, String between, String pattern) {
        return IntStream.range(0, count)
                .mapToObj(i -> pattern.replace("#", "" + i).replace("@", "" + 4 * i))
                .collect(Collectors.joining(between));
    }

    /** Returns small integers, whose sums are exact in bf16 products. */
    private static int value(int row, int k, int prime) {
        return (row * prime + k * 3) % 17 - 8;
    }

    /** Packs stage after stage in the layout of shared memory: rows of 128 bytes, 16-byte chunks swizzled by row. */
    private DeviceStorage operand(int rows, int prime) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(rows * DEPTH * 2).order(ByteOrder.nativeOrder());
        for (int row = 0; row < rows; row++) {
            for (int k = 0; k < DEPTH; k++) {
                int at = k % STAGE * 2;
                int place = k / STAGE * rows * STAGE * 2 + row * STAGE * 2 + (at / 16 ^ row % 8) * 16 + at % 16;
                bytes.putShort(place, (short) (Float.floatToRawIntBits(value(row, k, prime)) >>> 16));
            }
        }
        DeviceStorage storage = device.allocate(bytes.capacity());
        storage.upload(0, bytes);
        return storage;
    }

    /** Launches the kernel once. */
    void run() {
        kernel.launch(device.stream(), Launch.of(1, 256).shared((ROWS + COLUMNS) * STAGE * 2), a, b, out);
    }

    private void check() {
        ByteBuffer bytes = ByteBuffer.allocateDirect(ROWS * COLUMNS * 4).order(ByteOrder.nativeOrder());
        out.download(0, bytes);
        for (int thread = 0; thread < 256; thread++) {
            for (int register = 0; register < ACCUMULATORS; register++) {
                int row = thread / 32 * 16 + thread % 32 / 4 + register / 2 % 2 * 8;
                int column = register / 4 * 8 + thread % 4 * 2 + register % 2;
                int expected = 0;
                for (int k = 0; k < DEPTH; k++) {
                    expected += value(row, k, 7) * value(column, k, 11);
                }
                float got = bytes.getFloat(4 * (thread * ACCUMULATORS + register));
                if (got != expected) {
                    throw new IllegalStateException(
                            "row " + row + ", column " + column + ": " + got + ", expected " + expected);
                }
            }
        }
    }

    @Override
    public void close() {
        a.close();
        b.close();
        out.close();
    }
}
