package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.arange;
import static org.bytedeco.pytorch.global.torch.binary_cross_entropy_with_logits;
import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.eye;
import static org.bytedeco.pytorch.global.torch.log_sigmoid;
import static org.bytedeco.pytorch.global.torch.log_softmax;
import static org.bytedeco.pytorch.global.torch.logsumexp;
import static org.bytedeco.pytorch.global.torch.softmax;
import static org.bytedeco.pytorch.global.torch.where;

import org.bytedeco.pytorch.CrossEntropyLossOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The named losses in PyTorch, computed from the whole matrix of logits [n, n], whose diagonal holds the positives. For
 * losses in four directions the matrix is that of [x; y] with itself, [2 n, 2 n].
 */
final class TorchLosses {
    private static final double MARGIN = 0.2;
    private static final int SINKHORN_ITERATIONS = 5;

    private TorchLosses() {}

    /** @param ids [n] ids of the pairs for the loss with several positives; null for other losses */
    static Tensor value(String name, Tensor logits, Tensor ids) {
        return switch (name) {
            case "infonce" -> bothWays(logits, TorchLosses::rows);
            case "infonce-rows" -> rows(logits);
            case "infonce-smoothed" -> bothWays(logits, TorchLosses::smoothed);
            case "infonce-multipositive" -> bothWays(logits, s -> multiPositive(s, ids));
            case "infonce-fourway" -> joined(logits);
            case "siglip" -> sigLip(logits);
            case "bce" -> binary_cross_entropy_with_logits(logits, eye(rowsOf(logits), options(logits)));
            case "bce-balanced" -> balanced(logits);
            case "bce-warmup" -> window(logits, 1);
            case "triplet" -> hinges(logits).sum().add(hinges(logits.t()).sum()).mul(perRow(logits));
            case "triplet-hardest" ->
                largest(hinges(logits)).add(largest(hinges(logits.t()))).mul(perRow(logits));
            case "triplet-semihard" ->
                semiHard(logits).add(semiHard(logits.t())).mul(perRow(logits));
            case "sinkhorn" -> sinkhorn(logits);
            case "sinkhorn-symmetric" -> bothWays(logits, TorchLosses::sinkhorn);
            default -> throw new IllegalArgumentException("no PyTorch reference for loss " + name);
        };
    }

    private static Scalar scalar(double value) {
        return new Scalar(value);
    }

    private static long rowsOf(Tensor logits) {
        return logits.size(0);
    }

    private static Scalar perRow(Tensor logits) {
        return scalar(1.0 / rowsOf(logits));
    }

    private static TensorOptions options(Tensor like) {
        return new TensorOptions(like.scalar_type());
    }

    private static Tensor numbers(Tensor logits) {
        return arange(scalar(rowsOf(logits)), new TensorOptions(ScalarType.Long));
    }

    private static Tensor diagonalMask(Tensor logits) {
        return eye(rowsOf(logits), new TensorOptions(ScalarType.Bool));
    }

    private static Tensor bothWays(Tensor logits, java.util.function.UnaryOperator<Tensor> loss) {
        return mean(loss.apply(logits), loss.apply(logits.t()));
    }

    /** Column i is the positive of row i; there may be more columns than rows. */
    static Tensor rows(Tensor logits) {
        return cross_entropy(logits, numbers(logits));
    }

    /** Mean over rows of the cross-entropy against a table of targets. */
    static Tensor soft(Tensor logits, Tensor targets) {
        return log_softmax(logits, 1).mul(targets).sum().mul(perRow(logits)).neg();
    }

    /** Targets: alpha times the softmax of the teacher, a constant, plus (1 - alpha) times the diagonal. */
    static Tensor distilled(Tensor teacherLogits, double alpha) {
        Tensor own = eye(rowsOf(teacherLogits), teacherLogits.size(1), options(teacherLogits));
        return softmax(teacherLogits.detach(), 1).mul(scalar(alpha)).add(own.mul(scalar(1 - alpha)));
    }

    static Tensor mean(Tensor a, Tensor b) {
        return a.add(b).mul(scalar(0.5));
    }

    private static Tensor smoothed(Tensor logits) {
        CrossEntropyLossOptions smoothing = new CrossEntropyLossOptions();
        smoothing.label_smoothing().put(0.1);
        return cross_entropy(logits, numbers(logits), smoothing);
    }

    private static Tensor multiPositive(Tensor logits, Tensor ids) {
        Tensor same = ids.unsqueeze(1).eq(ids.unsqueeze(0)).to(logits.scalar_type());
        Tensor targets = same.div(same.sum(new long[] {1}, true, new ScalarTypeOptional()));
        return soft(logits, targets);
    }

    /** NT-Xent: the diagonal is masked, and the positive of a row is n rows away. */
    private static Tensor joined(Tensor logits) {
        long members = rowsOf(logits);
        Tensor partners = numbers(logits)
                .add(scalar(members / 2))
                .remainder(scalar(members))
                .to(ScalarType.Long);
        return cross_entropy(logits.masked_fill(diagonalMask(logits), scalar(Double.NEGATIVE_INFINITY)), partners);
    }

    private static Tensor signs(Tensor logits) {
        return eye(rowsOf(logits), options(logits)).mul(scalar(2)).sub(scalar(1));
    }

    private static Tensor sigLip(Tensor logits) {
        return log_sigmoid(logits.mul(signs(logits))).sum().mul(perRow(logits)).neg();
    }

    private static Tensor balanced(Tensor logits) {
        double others = 1.0 / (rowsOf(logits) - 1);
        Tensor weights =
                eye(rowsOf(logits), options(logits)).mul(scalar(1 - others)).add(scalar(others));
        return log_sigmoid(logits.mul(signs(logits)))
                .mul(weights)
                .sum()
                .mul(perRow(logits))
                .neg();
    }

    /** Negatives are the next columns after the diagonal, cyclically. */
    private static Tensor window(Tensor logits, int negatives) {
        Tensor numbers = numbers(logits);
        Tensor after = numbers.unsqueeze(0).sub(numbers.unsqueeze(1)).remainder(scalar(rowsOf(logits)));
        Tensor taken = after.le(scalar(negatives)).to(logits.scalar_type());
        return log_sigmoid(logits.mul(signs(logits)))
                .mul(taken)
                .sum()
                .mul(perRow(logits))
                .neg();
    }

    private static Tensor positives(Tensor logits) {
        return logits.diagonal().unsqueeze(1);
    }

    private static Tensor hinges(Tensor logits) {
        return logits.sub(positives(logits))
                .add(scalar(MARGIN))
                .clamp_min(scalar(0))
                .masked_fill(diagonalMask(logits), scalar(0));
    }

    private static Tensor largest(Tensor matrix) {
        return matrix.amax(new long[] {1}, false).sum();
    }

    private static Tensor semiHard(Tensor logits) {
        Tensor below = logits.lt(positives(logits)); // false on the diagonal
        Tensor nearest = logits.masked_fill(below.logical_not(), scalar(-1e9)).amax(new long[] {1}, true);
        Tensor least = logits.masked_fill(diagonalMask(logits), scalar(1e9))
                .neg()
                .amax(new long[] {1}, true)
                .neg();
        Tensor chosen = where(nearest.lt(scalar(-1e8)), least, nearest);
        return chosen.sub(positives(logits))
                .add(scalar(MARGIN))
                .clamp_min(scalar(0))
                .sum();
    }

    private static Tensor sinkhorn(Tensor logits) {
        Tensor plan = logits;
        for (int k = 0; k < SINKHORN_ITERATIONS; k++) {
            plan = plan.sub(logsumexp(plan, new long[] {1}, true));
            plan = plan.sub(logsumexp(plan, new long[] {0}, true));
        }
        return plan.diagonal().sum().mul(perRow(logits)).neg();
    }
}
