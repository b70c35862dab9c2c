package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.cpu.CpuOps;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;

/** A step that runs out of memory at any allocation changes nothing and can be repeated. */
class OutOfMemoryStepTest {
    @TempDir
    Path folder;

    /** Memory for a number of allocations; later ones fail until the number is raised. */
    private static final class Scarce extends HostMemory {
        private long left = Long.MAX_VALUE;

        @Override
        public synchronized HostStorage allocate(long bytes) {
            if (left == 0) {
                throw new OutOfBudgetException(bytes, currentBytes(), currentBytes(), "injected failure");
            }
            left--;
            return super.allocate(bytes);
        }
    }

    private TrainConfig config(String loss, int chunk, TrainConfig.Accumulation accumulation) {
        LossConfig losses = loss.equals(Losses.QUEUE)
                ? LossConfig.of(loss, Map.of(LossOption.QUEUE_SIZE, 17.0, LossOption.MOMENTUM, 0.9), "", 12)
                : LossConfig.named(loss, 12);
        return Configs.of(
                        PairFiles.folder(folder.resolve("pairs"), 20).toString(),
                        true,
                        "c",
                        0.2,
                        3,
                        4,
                        12,
                        chunk,
                        1L << 30,
                        1e-2,
                        2,
                        1,
                        60,
                        new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                        new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                        TinyPairs.model(0.1),
                        losses)
                .toBuilder()
                .accumulation(accumulation)
                .build();
    }

    /** Fails each allocation of the next step in turn; returns the number of allocations. */
    private int failEverywhere(Trainer trainer, Scarce memory, boolean leaksShow, String loss) {
        List<String> before = Snapshots.of(trainer);
        long live = memory.currentBytes();
        for (int room = 0; ; room++) {
            memory.left = room;
            try {
                trainer.next();
                return room;
            } catch (OutOfBudgetException expected) {
                assertTrue(expected.getMessage().contains("injected failure"), expected.getMessage());
            } catch (RuntimeException wrapped) {
                assertTrue(wrapped.getCause() instanceof OutOfBudgetException, wrapped.toString());
            } finally {
                memory.left = Long.MAX_VALUE;
            }
            assertTrue(!leaksShow || memory.currentBytes() == live, "leak after " + room + " allocations of " + loss);
            assertEquals(before, Snapshots.of(trainer), loss + ", after " + room + " allocations");
        }
    }

    @ParameterizedTest
    @SampledSource(
            every = 5,
            csv = {
                "infonce,7,GRADCACHE",
                "bce-warmup,0,GRADCACHE",
                "sinkhorn,7,GRADCACHE",
                "queue,7,GRADCACHE",
                "infonce-distilled,7,FEATURES"
            })
    void next_withAnyFailedAllocation_changesNothing(String loss, int chunk, TrainConfig.Accumulation accumulation) {
        TrainConfig config = config(loss, chunk, accumulation);
        PairDataset data = PairDataset.open(Path.of(config.data()), config.strict());
        List<String> undisturbed;
        try (Ops ops = new CpuOps(new HostMemory());
                Trainer trainer = Trainer.start(ops, config, data)) {
            while (trainer.hasNext()) {
                trainer.next();
            }
            undisturbed = Snapshots.of(trainer);
        }
        Scarce memory = new Scarce();
        try (Ops ops = new CpuOps(memory)) {
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                int first = failEverywhere(trainer, memory, false, loss); // gradients are allocated once and kept
                trainer.next();
                int third = failEverywhere(trainer, memory, true, loss);
                assertTrue(first > 100 && third > 100, first + " and " + third + " allocations");
                trainer.next();
                assertEquals(undisturbed, Snapshots.of(trainer), "the end of the run");
            }
            assertEquals(0, memory.currentBytes());
        }
    }
}
