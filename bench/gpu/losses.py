"""The peers: symmetric InfoNCE of unit rows x and y (n, d), value and gradients, by others' algorithms and packages.

A peer takes x, y and a precision (bf16, f16, tf32, f32) and returns loss, dx, dy. Inputs and gradients are f32.
"""
import importlib
import math
import os

import torch
from torch.nn import functional

SCALE = 1 / 0.07
F16_MULTIPLE = 2.0 ** 14  # of gradients of logits, or they are too small for f16
BLOCK_ELEMENTS = 1 << 29  # of logits that peers in blocks form at a time


def sixteen(precision):
    """The type that products are in, None for f32."""
    return {"bf16": torch.bfloat16, "f16": torch.float16}.get(precision)


def in_precision(precision, *tensors):
    kind = sixteen(precision) or torch.float32
    return [tensor.to(kind) for tensor in tensors]


def autocast(x, precision):
    kind = sixteen(precision)
    return torch.autocast(x.device.type, dtype=kind or torch.bfloat16, enabled=kind is not None)


def dense(x, y, precision):
    """The loss as everybody writes it: all logits, cross entropy of rows and of columns."""
    labels = torch.arange(x.shape[0], device=x.device)
    with autocast(x, precision):
        logits = SCALE * (x @ y.T)
        return (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2


def two_products(x, y, precision):
    """As open_clip's ClipLoss does it: one product for each direction."""
    labels = torch.arange(x.shape[0], device=x.device)
    with autocast(x, precision):
        rows = SCALE * x @ y.T
        columns = SCALE * y @ x.T
        return (functional.cross_entropy(rows, labels) + functional.cross_entropy(columns, labels)) / 2


def block_rows(n):
    return max(1, min(n, BLOCK_ELEMENTS // n))


def chunked(x, y, precision):
    """Without the whole n x n matrix or autograd: log-sums first, then gradients of blocks of rows, formed again."""
    n = x.shape[0]
    rows = block_rows(n)
    a, b = in_precision(precision, x.detach(), y.detach())
    row_sums = torch.empty(n, device=x.device)
    column_sums = torch.full((n,), -math.inf, device=x.device)
    positives = SCALE * (a.float() * b.float()).sum(1)
    for at in range(0, n, rows):
        logits = SCALE * (a[at:at + rows] @ b.T).float()
        row_sums[at:at + rows] = torch.logsumexp(logits, 1)
        column_sums = torch.logaddexp(column_sums, torch.logsumexp(logits, 0))
    loss = ((row_sums + column_sums) / 2 - positives).mean()
    dx = torch.empty(x.shape, device=x.device)
    dy = torch.zeros(y.shape, device=y.device)
    for at in range(0, n, rows):
        logits = SCALE * (a[at:at + rows] @ b.T).float()
        g = torch.exp(logits - row_sums[at:at + rows, None])
        g += torch.exp(logits - column_sums[None, :])
        here = torch.arange(g.shape[0], device=x.device)
        g[here, at + here] -= 2
        g = (g * (SCALE / (2 * n) * F16_MULTIPLE)).to(a.dtype)
        dx[at:at + rows] = (g @ b).float() / F16_MULTIPLE
        dy += (g.T @ a[at:at + rows]).float() / F16_MULTIPLE
    return loss, dx, dy


def liger_like(x, y, precision):
    """Each direction by itself: logits of a block of rows, their gradient in place, both products; nothing is formed
    again: 12 n n d."""
    n = x.shape[0]
    rows = block_rows(n)
    a, b = in_precision(precision, x.detach(), y.detach())
    dx, dy = torch.zeros(x.shape, device=x.device), torch.zeros(y.shape, device=y.device)
    loss = torch.zeros((), device=x.device)
    for q, k, dq, dk in ((a, b, dx, dy), (b, a, dy, dx)):
        for at in range(0, n, rows):
            logits = (q[at:at + rows] @ k.T).float().mul_(SCALE)
            sums = torch.logsumexp(logits, 1)
            here = torch.arange(logits.shape[0], device=x.device)
            loss += (sums - logits[here, at + here]).sum()
            g = logits.sub_(sums[:, None]).exp_()
            g[here, at + here] -= 1
            g = g.mul_(SCALE / (2 * n) * F16_MULTIPLE).to(a.dtype)
            dq[at:at + rows] += (g @ k).float() / F16_MULTIPLE
            dk += (g.T @ q[at:at + rows]).float() / F16_MULTIPLE
    return loss / (2 * n), dx, dy


def inf_cl(module):
    """Computes in tf32 whatever it is given; wants d a multiple of 256."""
    def loss(x, y, precision):
        q, k = in_precision(precision, x, y)
        return (module.cal_inf_loss(SCALE * q, k) + module.cal_inf_loss(SCALE * k, q)) / 2
    return loss


def cce(module):
    """With its default filter of small gradients."""
    def loss(x, y, precision):
        labels = torch.arange(x.shape[0], device=x.device)
        q, k = in_precision(precision, x, y)
        return (module.linear_cross_entropy(SCALE * q, k, labels)
                + module.linear_cross_entropy(SCALE * k, q, labels)) / 2
    return loss


def liger(module):
    """By sums and not means: it forms gradients in the type of its inputs, and 1/n of them is too small for f16."""
    def loss(x, y, precision):
        labels = torch.arange(x.shape[0], device=x.device)
        total = module.LigerFusedLinearCrossEntropyLoss(reduction="sum")
        q, k = in_precision(precision, x, y)
        return (total(k, SCALE * q, labels) + total(q, SCALE * k, labels)) / (2 * x.shape[0])
    return loss


def by_tiles(algorithm):
    def run(x, y, precision):
        return algorithm(*in_precision(precision, x.detach(), y.detach()), SCALE, precision == "tf32")
    return run


def by_autograd(loss):
    def run(x, y, precision):
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        value = loss(x, y, precision)
        if precision != "f16":
            value.backward()
            return value.detach(), x.grad, y.grad
        (value * F16_MULTIPLE).backward()
        return value.detach(), x.grad / F16_MULTIPLE, y.grad / F16_MULTIPLE
    return run


class Compiled:
    """Compiled anew for each case, or it stops compiling after some shapes."""

    def __init__(self, loss):
        self.loss = loss
        self.run = None

    def begin_case(self):
        torch.compiler.reset()
        self.run = by_autograd(torch.compile(self.loss, dynamic=False))

    def __call__(self, x, y, precision):
        return self.run(x, y, precision)


PACKAGES = (("Inf-CL", "inf_cl", inf_cl), ("CCE", "cut_cross_entropy", cce),
            ("Liger", "liger_kernel.transformers", liger))


def peers(device):
    """What is there by name, and why the rest is absent."""
    found = {"torch eager": by_autograd(dense), "torch eager, two products": by_autograd(two_products),
             "torch chunked": chunked, "Liger-like": liger_like}
    absent = {}

    def look_for(names, module, make):
        try:
            imported = importlib.import_module(module)
        except Exception as problem:  # an import may fail in any way
            absent[names] = "%s: %s" % (type(problem).__name__, " ".join(str(problem).split())[:400])
        else:
            found.update(make(imported))

    if device == "cuda" or os.environ.get("TRITON_INTERPRET") == "1":
        look_for("Inf-CL-like and CCE-like", "tiles", lambda tiles: {
            "Inf-CL-like": by_tiles(tiles.inf_cl_like), "CCE-like": by_tiles(tiles.cce_like)})
    else:
        absent["Inf-CL-like and CCE-like"] = "Triton runs on a GPU, or on a CPU with TRITON_INTERPRET=1"
    for name, module, make in PACKAGES:
        look_for(name, module, lambda imported: {name: by_autograd(make(imported))})
    found["torch compiled"] = Compiled(dense)  # last: it takes longest to begin
    return found, absent
