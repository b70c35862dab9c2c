package org.contrastive4j.support;

/** Reference implementation of attention and sequence operations, element by element from their formulas. */
public final class SequenceReference {
    private SequenceReference() {}

    /** Shape and masks of one attention; {@code lengths} null means all keys. */
    public record Attention(int batch, int tokens, int heads, int size, boolean causal, int[] lengths) {
        public int width() {
            return heads * size;
        }

        boolean admits(int b, int query, int key) {
            return (!causal || key <= query) && (lengths == null || key < lengths[b]);
        }

        /** Returns an element of the query (part 0), key (1) or value (2). */
        double element(double[] qkv, int part, int b, int t, int h, int c) {
            return qkv[((b * tokens + t) * 3 + part) * width() + h * size + c];
        }

        double score(double[] qkv, int b, int h, int query, int key) {
            double sum = 0;
            for (int c = 0; c < size; c++) {
                sum += element(qkv, 0, b, query, h, c) * element(qkv, 1, b, key, h, c);
            }
            return sum / Math.sqrt(size);
        }

        /** [batch, heads, tokens]. */
        public double[] logSumExp(double[] qkv) {
            double[] lse = new double[batch * heads * tokens];
            for (int at = 0; at < lse.length; at++) {
                int b = at / (heads * tokens);
                int h = at / tokens % heads;
                int query = at % tokens;
                double largest = Double.NEGATIVE_INFINITY;
                for (int key = 0; key < tokens; key++) {
                    largest = admits(b, query, key) ? Math.max(largest, score(qkv, b, h, query, key)) : largest;
                }
                double sum = 0;
                for (int key = 0; key < tokens; key++) {
                    sum += admits(b, query, key) ? Math.exp(score(qkv, b, h, query, key) - largest) : 0;
                }
                lse[at] = sum == 0 ? Double.NEGATIVE_INFINITY : largest + Math.log(sum);
            }
            return lse;
        }

        /** [batch, tokens, width]. */
        public double[] out(double[] qkv) {
            double[] lse = logSumExp(qkv);
            double[] out = new double[batch * tokens * width()];
            for (int at = 0; at < lse.length; at++) {
                int b = at / (heads * tokens);
                int h = at / tokens % heads;
                int query = at % tokens;
                for (int key = 0; key < tokens; key++) {
                    double p = admits(b, query, key) ? Math.exp(score(qkv, b, h, query, key) - lse[at]) : 0;
                    for (int c = 0; c < size && p > 0; c++) {
                        out[(b * tokens + query) * width() + h * size + c] += p * element(qkv, 2, b, key, h, c);
                    }
                }
            }
            return out;
        }
    }

    /** Pictures [batch, height, width, channels] and the windows over them. */
    public record Patches(int batch, int height, int width, int channels, int kernel, int stride, int padding) {
        public int rows() {
            int count = 0;
            while (count * stride + kernel <= height + 2 * padding) {
                count++;
            }
            return count;
        }

        public int columns() {
            int count = 0;
            while (count * stride + kernel <= width + 2 * padding) {
                count++;
            }
            return count;
        }

        public int length() {
            return kernel * kernel * channels;
        }

        /** [batch, rows x columns, kernel x kernel x channels], each element looked up on its own. */
        public double[] patchify(double[] x) {
            double[] y = new double[batch * rows() * columns() * length()];
            for (int at = 0; at < y.length; at++) {
                int rest = at;
                int channel = rest % channels;
                rest /= channels;
                int inColumn = rest % kernel;
                rest /= kernel;
                int inRow = rest % kernel;
                rest /= kernel;
                int c = rest % columns() * stride - padding + inColumn;
                rest /= columns();
                int r = rest % rows() * stride - padding + inRow;
                int b = rest / rows();
                boolean inside = r >= 0 && r < height && c >= 0 && c < width;
                y[at] = inside ? x[((b * height + r) * width + c) * channels + channel] : 0;
            }
            return y;
        }
    }

    /** [batch, width], of x [batch, tokens, width]. */
    public static double[] meanPool(double[] x, int tokens, int width, int[] lengths) {
        double[] y = new double[lengths.length * width];
        for (int at = 0; at < y.length; at++) {
            int b = at / width;
            for (int t = 0; t < lengths[b]; t++) {
                y[at] += x[(b * tokens + t) * width + at % width] / lengths[b];
            }
        }
        return y;
    }

    /** y[i] = x[rows[i]], rows of the given width. */
    public static double[] gather(double[] x, int width, int[] rows) {
        double[] y = new double[rows.length * width];
        for (int at = 0; at < y.length; at++) {
            y[at] = x[rows[at / width] * width + at % width];
        }
        return y;
    }
}
