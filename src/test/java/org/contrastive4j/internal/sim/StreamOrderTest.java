package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Work of two streams on the same memory: what orders it is accepted, what nothing orders is a fault. */
class StreamOrderTest {
    /** y[i] = x[i] + 1 for threads from {@code from} on. */
    private static final String INCREMENT = """
            .version 8.0
            .target sm_80
            .address_size 64
            .visible .entry increment(.param .u64 py, .param .u64 px, .param .u32 pfrom)
            {
                .reg .b32 %i, %from, %v;
                .reg .b64 %x, %y;
                ld.param.u64 %y, [py];
                ld.param.u64 %x, [px];
                ld.param.u32 %from, [pfrom];
                mov.u32 %i, %tid.x;
                add.u32 %i, %i, %from;
                mad.wide.u32 %x, %i, 4, %x;
                mad.wide.u32 %y, %i, 4, %y;
                ld.global.u32 %v, [%x];
                add.u32 %v, %v, 1;
                st.global.u32 [%y], %v;
                ret;
            }
            """;

    private static final Launch FOUR = Launch.of(1, 4);

    private SimDevice device;
    private DeviceStream main;
    private DeviceStream other;
    private DeviceStorage x;
    private DeviceStorage y;
    private Kernel increment;

    @BeforeEach
    void open() {
        device = SimDevice.open(SimOptions.defaults());
        main = device.stream();
        other = device.newStream();
        increment = device.module("increment.ptx", INCREMENT).kernel("increment");
        x = Devices.ints(device, 1, 2, 3, 4, 5, 6, 7, 8);
        y = Devices.ints(device, 0, 0, 0, 0, 0, 0, 0, 0);
    }

    @AfterEach
    void close() {
        device.synchronize();
        x.close();
        y.close();
        device.close();
    }

    private static void unordered(String words, Runnable work) {
        Fault fault = assertThrows(Fault.class, work::run);
        assertEquals(Fault.Kind.RACE, fault.kind());
        assertTrue(
                fault.getMessage().contains("unordered access")
                        && fault.getMessage().contains(words),
                fault.getMessage());
    }

    private static void order(DeviceStream first, DeviceStream second) {
        try (DeviceStream.Event event = first.record()) {
            second.await(event);
        }
    }

    private void send(DeviceStream stream, DeviceStorage target) {
        stream.upload(ByteBuffer.allocate(32), target, 0);
    }

    @Test
    void await_event_ordersTheStreams() {
        send(other, x);
        order(other, main);
        increment.launch(main, FOUR, y, x, 0);
        order(main, other);
        send(other, x);
        send(other, y);
    }

    @Test
    void readAfterWrite_withoutEvent_isAFault() {
        send(other, x);
        unordered(
                "kernel increment on the stream of the device reads bytes from 0 on",
                () -> increment.launch(main, FOUR, y, x, 0));
    }

    @Test
    void writeAfterRead_withoutEvent_isAFault() {
        increment.launch(main, FOUR, y, x, 0);
        unordered("upload on stream 1 writes bytes from 0 on", () -> send(other, x));
    }

    @Test
    void await_eventRecordedBeforeTheWork_doesNotOrder() {
        try (DeviceStream.Event early = other.record()) {
            send(other, x);
            main.await(early);
        }
        unordered("upload on stream 1, which writes them", () -> increment.launch(main, FOUR, y, x, 0));
    }

    @Test
    void await_eventInTheOtherDirection_doesNotOrder() {
        send(other, x);
        order(main, other);
        unordered("reads", () -> main.copy(x, 0, y, 0, 32));
    }

    /** One stream awaits the second, which awaited the third. */
    @Test
    void order_isTransitive() {
        try (DeviceStream third = device.newStream()) {
            send(third, x);
            order(third, other);
            order(other, main);
            increment.launch(main, FOUR, y, x, 0);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"stream", "event", "device", "upload", "download", "close"})
    void hostSynchronisation_ordersLaterWork(String how) {
        send(other, x);
        switch (how) {
            case "stream" -> other.synchronize();
            case "event" -> {
                try (DeviceStream.Event event = other.record()) {
                    event.synchronize();
                }
            }
            case "device" -> device.synchronize();
            case "upload" -> y.upload(0, ByteBuffer.allocate(4));
            case "download" -> Devices.toInts(y);
            default -> other.close();
        }
        increment.launch(main, FOUR, y, x, 0);
        assertArrayEquals(new int[] {1, 1, 1, 1}, Arrays.copyOf(Devices.toInts(y), 4));
    }

    @Test
    void synchronize_anotherStream_doesNotOrder() {
        send(other, x);
        main.synchronize();
        unordered("reads", () -> increment.launch(main, FOUR, y, x, 0));
    }

    @Test
    void unordered_readsAndDisjointWrites_areLegal() {
        increment.launch(main, FOUR, y, x, 0);
        increment.launch(other, FOUR, y, x, 4); // reads the same array, writes the other half of y
        main.copy(x, 0, y, 0, 16);
        unordered("writes bytes from 12 on", () -> increment.launch(other, FOUR, y, x, 3));
    }

    /** The last writer alone would not tell: part of what was written before it is still there. */
    @Test
    void unordered_accessToEarlierWork_isAFault() {
        send(other, x);
        order(other, main);
        main.copy(y, 0, x, 0, 16);
        try (DeviceStream third = device.newStream()) {
            order(main, third);
            third.copy(x, 0, y, 0, 32);
            unordered("writes bytes from 16 on", () -> other.upload(ByteBuffer.allocate(16), x, 16));
        }
    }

    @Test
    void graph_isOrderedOnTheStreamThatLaunchesIt() {
        try (DeviceStream.Graph graph = main.capture(() -> increment.launch(main, FOUR, y, x, 0))) {
            send(other, x);
            graph.launch(other);
            unordered("kernel increment", () -> graph.launch(main));
        }
    }

    /** Graphs that share scratch memory have to run one after the other. */
    @Test
    void graphs_sharingScratch_mustBeOrdered() {
        try (DeviceStorage scratch = device.allocate(1024);
                DeviceStream.Graph first = fillsScratch(scratch);
                DeviceStream.Graph second = fillsScratch(scratch)) {
            first.launch(main);
            order(main, other);
            second.launch(other);
            unordered("captured work", () -> first.launch(main));
            device.synchronize();
        }
    }

    private DeviceStream.Graph fillsScratch(DeviceStorage scratch) {
        return main.capture(
                () -> {
                    try (DeviceStorage own = device.allocate(64, main)) {
                        main.fill(own, (byte) 1);
                    }
                },
                scratch);
    }

    /** A GPU may have given the memory to other work of the stream before. */
    @Test
    void allocate_onOneStream_isUnorderedOnOthers() {
        send(main, y);
        try (DeviceStorage fresh = device.allocate(32)) {
            unordered("was allocated for the stream of the device", () -> send(other, fresh));
            order(main, other);
            send(other, fresh);
            order(other, main);
        }
        try (DeviceStorage own = device.allocate(32, other)) {
            send(other, own);
        }
    }

    @Test
    void close_whileAnotherStreamUsesTheMemory_isAFault() {
        DeviceStorage used = device.allocate(32);
        send(other, used);
        unordered("was closed", used::close);
        DeviceStorage awaited = device.allocate(32);
        send(other, awaited);
        order(other, main);
        awaited.close();
    }

    @Test
    void pinnedCopies_unordered_areAFault() {
        try (PinnedBuffer pinned = device.pinned(32)) {
            other.upload(pinned, 0, x, 0, 32);
            unordered("download on the stream of the device reads", () -> main.download(x, 0, pinned, 0, 32));
        }
    }

    @Test
    void unorderedAccess_withoutChecks_isNotReported() {
        try (SimDevice unchecked = SimDevice.open(SimOptions.defaults().withoutChecks());
                DeviceStorage bytes = unchecked.allocate(32);
                DeviceStream second = unchecked.newStream()) {
            second.upload(ByteBuffer.allocate(32), bytes, 0);
            unchecked.stream().fill(bytes, (byte) 1);
        }
    }

    /** An early look sees neither what was there nor what will be; the device itself is in order. */
    @Test
    void download_beforeSynchronisation_hasNotArrived() {
        for (int way = 0; way < 4; way++) {
            try (SimDevice own = SimDevice.open(SimOptions.defaults());
                    PinnedBuffer host = own.pinned(11);
                    DeviceStorage a = own.allocate(11);
                    DeviceStorage b = own.allocate(11);
                    DeviceStream second = own.newStream()) {
                own.stream().fill(a, (byte) 3);
                own.stream().download(a, 0, host, 0, 11);
                DeviceStream.Event brought = own.stream().record();
                second.synchronize(); // of another stream
                for (int i = 0; i < 11; i++) {
                    assertTrue(host.bytes().get(i) != 0 && host.bytes().get(i) != 3, "byte " + i);
                }
                assertTrue(Float.isNaN(host.bytes().getFloat(4))
                        && Double.isNaN(host.bytes().getDouble(0)));
                switch (way) {
                    case 0 -> own.stream().synchronize();
                    case 1 -> brought.synchronize();
                    case 2 -> own.synchronize();
                    default -> {
                        own.stream().upload(host, 0, b, 0, 11);
                        ByteBuffer copied = ByteBuffer.allocate(11);
                        b.download(0, copied);
                        assertEquals(3, copied.get(10));
                    }
                }
                for (int i = 0; i < 11; i++) {
                    assertEquals(3, host.bytes().get(i), "byte " + i + ", way " + way);
                }
            }
        }
    }

    /** Numbers that are sent prefetch are there after their arrival, and only then. */
    @Test
    void upload_onASecondStream_mustBeAwaited() {
        try (PtxOps ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
                Tensor sum = floats(ops);
                Tensor first = floats(ops);
                Tensor sent = floats(ops)) {
            ops.send(new float[] {1, 2}, first);
            ops.pointwise().add(first, first, sum); // the stream has work
            Ops.PrefetchStream prefetch = ops.prefetchStream();
            ops.pointwise().add(first, sum, sum);
            Runnable arrival = prefetch.send(() -> ops.send(new float[] {3, 5}, sent));
            ops.pointwise().add(first, sum, sum);
            arrival.run();
            ops.pointwise().add(sent, sum, sum);
            assertArrayEquals(new double[] {7, 13}, sum.toDoubles());
            Runnable tooLate = ops.prefetchStream().send(() -> ops.send(new float[] {4, 6}, sent));
            unordered(
                    "upload on stream 1, which writes them",
                    () -> ops.pointwise().add(sent, sum, sum));
            tooLate.run();
        }
    }

    /** They may not go where work that was given after the mark still reads. */
    @Test
    void upload_toBytesStillRead_isAFault() {
        try (PtxOps ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
                Tensor sum = floats(ops);
                Tensor sent = floats(ops)) {
            ops.send(new float[] {1, 2}, sent);
            Ops.PrefetchStream prefetch = ops.prefetchStream();
            ops.pointwise().add(sent, sent, sum);
            unordered("upload on stream 1 writes", () -> prefetch.send(() -> ops.send(new float[] {3, 5}, sent)));
            ops.synchronize();
        }
    }

    private static Tensor floats(PtxOps ops) {
        return Tensor.allocate(ops.memory(), DType.F32, Shape.of(2));
    }
}
