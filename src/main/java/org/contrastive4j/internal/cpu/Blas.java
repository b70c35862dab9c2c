package org.contrastive4j.internal.cpu;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.global.openblas;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.internal.memory.NativeLibraries;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Calls the single-threaded sgemm of OpenBLAS on off-heap addresses; the caller splits the work over threads. */
final class Blas {
    /** Loads the library at the first use of this class; a failure is final for this JVM. */
    private static final class Loaded {
        static final @Nullable LinkageError FAULT = load();

        private static @Nullable LinkageError load() {
            try {
                openblas.blas_set_num_threads(1);
                return null;
            } catch (LinkageError e) {
                return e;
            }
        }
    }

    /** A float pointer whose address can be changed, so that a call allocates nothing. */
    private static final class Movable extends FloatPointer {
        Movable() {
            super((Pointer) null);
        }

        Movable at(long newAddress) {
            address = newAddress;
            return this;
        }
    }

    private record Operands(Movable a, Movable b, Movable c) {}

    private static final ThreadLocal<Operands> OPERANDS =
            ThreadLocal.withInitial(() -> new Operands(new Movable(), new Movable(), new Movable()));

    private Blas() {}

    /** Returns the address of the first element. */
    static long address(Tensor tensor) {
        return ((HostStorage) tensor.storage()).address()
                + tensor.offset() * tensor.dtype().bytes();
    }

    /** Computes C = alpha op(A) op(B) + beta C, row-major, with sizes m x k, k x n and m x n. */
    static void sgemm(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            float alpha,
            long a,
            int lda,
            long b,
            int ldb,
            float beta,
            long c,
            int ldc) {
        if (Loaded.FAULT != null) {
            throw NativeLibraries.missing("OpenBLAS", "org.bytedeco:openblas", openblas.class, Loaded.FAULT);
        }
        Operands operands = OPERANDS.get();
        openblas.cblas_sgemm(
                openblas.CblasRowMajor,
                transA ? openblas.CblasTrans : openblas.CblasNoTrans,
                transB ? openblas.CblasTrans : openblas.CblasNoTrans,
                m,
                n,
                k,
                alpha,
                operands.a.at(a),
                lda,
                operands.b.at(b),
                ldb,
                beta,
                operands.c.at(c),
                ldc);
    }
}
