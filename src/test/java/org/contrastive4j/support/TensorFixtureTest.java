package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.opentest4j.AssertionFailedError;

class TensorFixtureTest {
    @Test
    void assertClose_poisonOrLargeError_fails() {
        try (TensorFixture fixture = new TensorFixture("cpu", 1)) {
            double[] expected = {1, 2, 3};
            fixture.assertClose("equal", expected, fixture.tensor(expected, 3), 0);
            fixture.assertClose("near", expected, fixture.tensor(new double[] {1, 2, 3 + 1e-6}, 3), 20);
            for (double bad : new double[] {3.001, Double.NaN, Double.POSITIVE_INFINITY}) {
                Tensor given = fixture.tensor(new double[] {1, 2, bad}, 3);
                assertThrows(AssertionFailedError.class, () -> fixture.assertClose("bad", expected, given, 20));
            }
            Tensor poisoned = fixture.poisoned(3);
            assertThrows(AssertionFailedError.class, () -> fixture.assertClose("unwritten", expected, poisoned, 20));
        }
    }

    @Test
    void close_writeBeyondATensor_fails() {
        TensorFixture fixture = new TensorFixture("cpu", 2);
        Tensor tensor = fixture.tensor(new double[4], 4);
        ByteBuffer one = ByteBuffer.allocate(4);
        tensor.storage().upload(4 * (tensor.offset() + 4), one);
        assertThrows(AssertionFailedError.class, fixture::close);
        tensor.storage().close();
        fixture.ops.memory().close();
    }
}
