"""Triton kernels for peers that never store the n x m logits: tiles of them, made again wherever they are needed.

The algorithms are those of Inf-CL (log-sums by an online maximum, gradients of owned rows by a second pass) and of CCE
(both gradients of a tile at once, by atomic additions); the code is this project's. d must be a multiple of BLOCK_D; it
is no compile-time constant, so that a kernel is compiled once for each type and not once for each width.
"""
import torch
import triton
import triton.language as tl

BLOCK_D = 64


@triton.jit
def tile(q, k, rows, columns, n, m, scale, D, BM: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr,
         PRECISION: tl.constexpr):
    logits = tl.zeros((BM, BN), dtype=tl.float32)
    for at in range(0, D, BD):
        inner = at + tl.arange(0, BD)
        a = tl.load(q + rows[:, None].to(tl.int64) * D + inner[None, :], mask=rows[:, None] < n, other=0.0)
        b = tl.load(k + columns[None, :].to(tl.int64) * D + inner[:, None], mask=columns[None, :] < m, other=0.0)
        logits = tl.dot(a, b, logits, input_precision=PRECISION)
    return logits * scale


@triton.jit
def log_sums(q, k, sums, n, m, scale, D, BM: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr,
             PRECISION: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    largest = tl.full((BM,), float("-inf"), dtype=tl.float32)
    total = tl.zeros((BM,), dtype=tl.float32)
    for start in range(0, m, BN):
        columns = start + tl.arange(0, BN)
        logits = tile(q, k, rows, columns, n, m, scale, D, BM, BN, BD, PRECISION)
        logits = tl.where(columns[None, :] < m, logits, float("-inf"))
        higher = tl.maximum(largest, tl.max(logits, 1))
        total = total * tl.exp(largest - higher) + tl.sum(tl.exp(logits - higher[:, None]), 1)
        largest = higher
    tl.store(sums + rows, largest + tl.log(total), mask=rows < n)


@triton.jit
def owned_rows(q, k, own, other, out, n, m, scale, D, OF_ROWS: tl.constexpr, MULTIPLE: tl.constexpr, BM: tl.constexpr,
               BN: tl.constexpr, BD: tl.constexpr, PRECISION: tl.constexpr):
    """out += MULTIPLE (p - 1[i = j]) k for the rows of a block, p by the sums of rows or of columns."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    row_sums = tl.load(own + rows, mask=rows < n, other=0.0)
    for start in range(0, m, BN):
        columns = start + tl.arange(0, BN)
        logits = tile(q, k, rows, columns, n, m, scale, D, BM, BN, BD, PRECISION)
        if OF_ROWS:
            g = tl.exp(logits - row_sums[:, None])
        else:
            g = tl.exp(logits - tl.load(other + columns, mask=columns < m, other=0.0)[None, :])
        g = tl.where(rows[:, None] == columns[None, :], g - 1.0, g)
        g = tl.where((rows[:, None] < n) & (columns[None, :] < m), g * MULTIPLE, 0.0).to(k.dtype.element_ty)
        for at in range(0, D, BD):
            inner = at + tl.arange(0, BD)
            b = tl.load(k + columns[:, None].to(tl.int64) * D + inner[None, :], mask=columns[:, None] < m, other=0.0)
            # Nobody else adds to these rows. A load, a sum and a store would do, were loads not moved ahead of stores.
            tl.atomic_add(out + rows[:, None].to(tl.int64) * D + inner[None, :],
                          tl.dot(g, b, input_precision=PRECISION), mask=rows[:, None] < n, sem="relaxed")


@triton.jit
def both_sides(q, k, sums, dq, dk, n, m, scale, D, MULTIPLE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
               BD: tl.constexpr, PRECISION: tl.constexpr):
    """dq and dk of one tile, added to what other tiles have left."""
    rows = tl.program_id(1) * BM + tl.arange(0, BM)
    columns = tl.program_id(0) * BN + tl.arange(0, BN)
    logits = tile(q, k, rows, columns, n, m, scale, D, BM, BN, BD, PRECISION)
    g = tl.exp(logits - tl.load(sums + rows, mask=rows < n, other=0.0)[:, None])
    g = tl.where(rows[:, None] == columns[None, :], g - 1.0, g)
    g = tl.where((rows[:, None] < n) & (columns[None, :] < m), g * MULTIPLE, 0.0).to(k.dtype.element_ty)
    for at in range(0, D, BD):
        inner = at + tl.arange(0, BD)
        a = tl.load(q + rows[:, None].to(tl.int64) * D + inner[None, :], mask=rows[:, None] < n, other=0.0)
        b = tl.load(k + columns[:, None].to(tl.int64) * D + inner[None, :], mask=columns[:, None] < m, other=0.0)
        tl.atomic_add(dq + rows[:, None].to(tl.int64) * D + inner[None, :], tl.dot(g, b, input_precision=PRECISION),
                      mask=rows[:, None] < n, sem="relaxed")
        tl.atomic_add(dk + columns[:, None].to(tl.int64) * D + inner[None, :],
                      tl.dot(tl.trans(g), a, input_precision=PRECISION), mask=columns[:, None] < m, sem="relaxed")


class Loss:
    """Launches of the above for one pair of matrices; both sides have n rows."""

    def __init__(self, x, y, scale, tf32):
        self.scale = scale
        self.n, self.d = x.shape
        if self.d % BLOCK_D:
            raise ValueError("expected a width that is a multiple of %d, got %d" % (BLOCK_D, self.d))
        self.x, self.y = x.contiguous(), y.contiguous()
        if x.element_size() == 2:
            self.options = dict(BM=128, BN=128, BD=BLOCK_D, PRECISION="ieee", num_warps=8, num_stages=3)
        else:
            self.options = dict(BM=64, BN=64, BD=32, PRECISION="tf32" if tf32 else "ieee", num_warps=4, num_stages=3)
        self.multiple = 2.0 ** 14 if x.dtype == torch.float16 else 1.0

    def blocks(self):
        return triton.cdiv(self.n, self.options["BM"])

    def sums(self, q, k):
        sums = torch.empty(self.n, device=q.device)
        log_sums[(self.blocks(),)](q, k, sums, self.n, self.n, self.scale, self.d, **self.options)
        return sums

    def owned(self, q, k, own, other, of_rows, out):
        owned_rows[(self.blocks(),)](q, k, own, other, out, self.n, self.n, self.scale, self.d,
                                     OF_ROWS=of_rows, MULTIPLE=self.multiple, **self.options)

    def both(self, q, k, sums, dq, dk):
        both_sides[(self.blocks(), self.blocks())](q, k, sums, dq, dk, self.n, self.n, self.scale, self.d,
                                                   MULTIPLE=self.multiple, **self.options)

    def factor(self):
        return self.scale / (2 * self.n * self.multiple)


def value(loss, rows, columns):
    positives = loss.scale * (loss.x.float() * loss.y.float()).sum(1)
    return ((rows + columns) / 2 - positives).mean()


def inf_cl_like(x, y, scale, tf32):
    """Each direction by itself: log-sums, then gradients of rows, then of columns, logits anew for each: 20 n n d."""
    loss = Loss(x, y, scale, tf32)
    rows, columns = loss.sums(loss.x, loss.y), loss.sums(loss.y, loss.x)
    dx, dy = torch.zeros(x.shape, device=x.device), torch.zeros(y.shape, device=y.device)
    loss.owned(loss.x, loss.y, rows, rows, True, dx)
    loss.owned(loss.y, loss.x, rows, rows, False, dy)
    loss.owned(loss.y, loss.x, columns, columns, True, dy)
    loss.owned(loss.x, loss.y, columns, columns, False, dx)
    return value(loss, rows, columns), dx.mul_(loss.factor()), dy.mul_(loss.factor())


def cce_like(x, y, scale, tf32):
    """Each direction by itself: log-sums, then both gradients of each tile by atomic additions: 16 n n d."""
    loss = Loss(x, y, scale, tf32)
    rows, columns = loss.sums(loss.x, loss.y), loss.sums(loss.y, loss.x)
    dx, dy = torch.zeros(x.shape, device=x.device), torch.zeros(y.shape, device=y.device)
    loss.both(loss.x, loss.y, rows, dx, dy)
    loss.both(loss.y, loss.x, columns, dy, dx)
    return value(loss, rows, columns), dx.mul_(loss.factor()), dy.mul_(loss.factor())
