package org.example;

import java.util.Locale;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** Loss and gradients of two pairs on the CPU, and the errors of a machine that lacks a GPU or native libraries. */
public final class Link {
    private Link() {}

    /** Prints the loss, one element of the gradient, or what the library reports where something is missing. */
    public static void main(String[] arguments) {
        try (Ops ops = Backend.open("cpu");
                InfoNce loss = InfoNce.of(ops, InfoNce.Direction.SYMMETRIC, 0, null); // temperature 1
                Tensor images = ops.tensor(Shape.of(2, 2), 1, 0, 0, 1);
                Tensor texts = ops.tensor(Shape.of(2, 2), 1, 0, 0, 1);
                Tensor imageGradients = ops.zeros(Shape.of(2, 2));
                Tensor textGradients = ops.zeros(Shape.of(2, 2))) {
            PairwiseOps.Result result = loss.valueAndGradient(
                            images, texts, PairLabels.DIAGONAL, imageGradients, textGradients, 1)
                    .get();
            System.out.printf(Locale.ROOT, "loss %.6f, gradient %.6f%n", result.loss(), imageGradients.toDoubles()[1]);
        } catch (RuntimeException e) {
            System.out.println("cpu: " + e.getMessage());
        }
        try (Ops ops = Backend.open("cuda")) {
            System.out.println("cuda: " + ops);
        } catch (DeviceException e) {
            System.out.println("cuda: " + e.getMessage());
        }
    }
}
