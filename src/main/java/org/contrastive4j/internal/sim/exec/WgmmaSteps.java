package org.contrastive4j.internal.sim.exec;

import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * wgmma: asynchronous products of a warp group; each of its four warps does its own 16 rows.
 *
 * <p>Tested by {@code WgmmaConformanceTest}.
 */
final class WgmmaSteps {
    static final Map<String, Decoder> FAMILY = Map.of("wgmma", WgmmaSteps::decode);

    private static final Pattern SHAPE = Pattern.compile("\\.m64n(\\d{1,3})k(\\d{1,2})");

    private WgmmaSteps() {}

    private static @Nullable Step decode(Instruction in, Operands o) {
        if (in.has(".fence")) {
            return groupStep(warp -> MemoryOrder.fence(warp, warp.live(), Observer.Fence.WGMMA));
        }
        if (in.has(".commit_group")) {
            return groupStep(warp -> warp.groups.commit(Async.Group.WGMMA));
        }
        if (in.has(".wait_group")) {
            int keep = o.natural(0);
            return groupStep(warp -> warp.block(
                    new GroupWait(warp, warp.live(), Async.Group.WGMMA, warp.groups.limit(Async.Group.WGMMA, keep))));
        }
        return in.has(".mma_async") && !in.has(".sp") ? multiply(in, o) : null;
    }

    private static boolean isInput(Type type) {
        return type.isFloat() || type == Type.S8 || type == Type.U8;
    }

    private static Step groupStep(Consumer<Warp> action) {
        return new Step() {
            @Override
            Participation participation() {
                return Participation.FULL;
            }

            @Override
            void run(Warp warp, int mask) {
                warp.cta.checkWarpGroup(warp, this, warp.warpGroupSteps++);
                action.accept(warp);
            }
        };
    }

    private static @Nullable Step multiply(Instruction in, Operands o) {
        List<Type> types = Decoder.types(in);
        String shape = in.modifiers().stream()
                .filter(modifier -> modifier.startsWith(".m64"))
                .findFirst()
                .orElse("");
        Matcher sizes = SHAPE.matcher(shape);
        if (!sizes.matches() || types.size() != 3) {
            return null;
        }
        int n = Integer.parseInt(sizes.group(1));
        int k = Integer.parseInt(sizes.group(2));
        Type a = types.get(1);
        Type b = types.get(2);
        boolean half = types.get(0) == Type.F16;
        if (n < 8 || n > 256 || n % 8 != 0 || !isInput(a) || k * a.bytes() != 32 || a.bytes() != b.bytes()) {
            return null;
        }
        int[] d = o.destinations(0);
        if (d.length != (half ? n / 4 : n / 2)) {
            throw in.error(d.length + " accumulator registers, expected " + (half ? n / 4 : n / 2));
        }
        boolean fromRegisters = o.at(1) instanceof Operand.Vec;
        int[] fragment = fromRegisters ? o.sources(1, Type.B32) : Step.NONE;
        int descriptorA = fromRegisters ? -1 : o.source(1, Type.B64);
        int descriptorB = o.source(2, Type.B64);
        int scaleD = o.predicate(3);
        int next = 4;
        int signA = o.count() > next ? (int) o.integer(next++) : 1;
        int signB = o.count() > next ? (int) o.integer(next++) : 1;
        boolean transA = !fromRegisters && o.count() > next && o.integer(next++) != 0;
        boolean transB = o.count() > next && o.integer(next) != 0;
        if ((transA || transB) && a.bytes() != 2) {
            throw in.error("only 16-bit operands can be transposed");
        }
        return new WgmmaStep(
                new WgmmaStep.Shape(n, k, a, b, half, in.has(".satfinite")),
                d,
                fragment,
                descriptorA,
                descriptorB,
                scaleD,
                signA,
                signB,
                transA,
                transB);
    }
}
