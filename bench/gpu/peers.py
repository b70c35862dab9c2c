#!/usr/bin/env python3
"""Symmetric InfoNCE, value and gradients, by PyTorch and what else is installed: device time, peak memory, difference from f64.

    python3 peers.py [--out peers.json] [--sizes 8192,32768,131072] [--widths 512,768,1024] [--seconds 150]

The work is the same as what PairwiseTimes measures: rows of any length are normalised (not differentiated), then the loss of their unit rows and its
gradients by the unit rows. Nothing is vendored: a peer that cannot be imported is listed as absent; the algorithms of Inf-CL, CCE and Liger are there
in any case, as "... like", in Triton (tiles.py) or PyTorch. Without torch or a GPU it says so and exits with 0
(--require: with 3). Times are medians by CUDA events, after a warm-up and a check.
"""
import argparse
import gc
import importlib
import json
import math
import statistics
import sys
import time

SCALE = 1 / 0.07
WARM_RUNS = 3


def numbers(text):
    return [int(part) for part in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description="Times peers of the pairwise loss on a GPU")
    parser.add_argument("--out", default="peers.json")
    parser.add_argument("--sizes", type=numbers, default=[8192, 32768, 131072])
    parser.add_argument("--widths", type=numbers, default=[512, 768, 1024])
    parser.add_argument("--wide-sizes", type=numbers, default=[65536, 262144], help="further sizes, of the first width only")
    parser.add_argument("--seconds", type=float, default=150, help="after which nothing more is begun")
    parser.add_argument("--case-seconds", type=float, default=0.8, help="of repetitions of one case")
    parser.add_argument("--precisions", default="bf16,f16,tf32,f32", help="in that order")
    parser.add_argument("--matrix", type=int, default=8192, help="size of the matrix product whose rate is written beside")
    parser.add_argument("--only", default="", help="names of peers, separated by commas")
    parser.add_argument("--require", action="store_true", help="exit with 3 when there is nothing to measure with")
    return parser.parse_args()


def sixteen(torch, precision):
    """The type that products are in, None for f32."""
    return {"bf16": torch.bfloat16, "f16": torch.float16}.get(precision)


def in_precision(torch, precision, *tensors):
    kind = sixteen(torch, precision) or torch.float32
    return [tensor.to(kind) for tensor in tensors]


def dense(torch, x, y, precision):
    """The loss as everybody writes it: all logits, cross entropy of rows and of columns."""
    functional = torch.nn.functional
    labels = torch.arange(x.shape[0], device=x.device)
    kind = sixteen(torch, precision)
    with torch.autocast("cuda", dtype=kind or torch.bfloat16, enabled=kind is not None):
        logits = SCALE * (x @ y.T)
        return (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2


def two_products(torch, x, y, precision):
    """As open_clip's ClipLoss does it: one product for each direction."""
    functional = torch.nn.functional
    labels = torch.arange(x.shape[0], device=x.device)
    kind = sixteen(torch, precision)
    with torch.autocast("cuda", dtype=kind or torch.bfloat16, enabled=kind is not None):
        rows = SCALE * x @ y.T
        columns = SCALE * y @ x.T
        return (functional.cross_entropy(rows, labels) + functional.cross_entropy(columns, labels)) / 2


def chunked(torch, x, y, precision):
    """Value and gradients without the whole n x n matrix: log-sums first, then gradients of blocks of rows, computed again. No autograd."""
    n = x.shape[0]
    rows = max(1, min(n, (1 << 29) // n))
    a, b = in_precision(torch, precision, x.detach(), y.detach())
    kind = a.dtype
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
        g = (g * (SCALE / (2 * n) * 2.0 ** 14)).to(kind)
        dx[at:at + rows] = (g @ b).float() * 2.0 ** -14
        dy += (g.T @ a[at:at + rows]).float() * 2.0 ** -14
    return loss, dx, dy


def inf_cl(torch, module, x, y, precision):
    q, k = in_precision(torch, precision, x, y)
    return (module.cal_inf_loss(SCALE * q, k) + module.cal_inf_loss(SCALE * k, q)) / 2


def cce(torch, module, x, y, precision):
    labels = torch.arange(x.shape[0], device=x.device)
    q, k = in_precision(torch, precision, x, y)
    return (module.linear_cross_entropy(SCALE * q, k, labels) + module.linear_cross_entropy(SCALE * k, q, labels)) / 2


def liger(torch, module, x, y, precision):
    labels = torch.arange(x.shape[0], device=x.device)
    loss = module.LigerFusedLinearCrossEntropyLoss()
    q, k = in_precision(torch, precision, x, y)
    return (loss(k, SCALE * q, labels) + loss(q, SCALE * k, labels)) / 2


def liger_like(torch, x, y, precision):
    """Each direction by itself: logits of a block of rows, their gradient in place, both products; nothing is formed again: 12 n n d."""
    n = x.shape[0]
    rows = max(1, min(n, (1 << 29) // n))
    a, b = in_precision(torch, precision, x.detach(), y.detach())
    gradients = [torch.zeros(x.shape, device=x.device), torch.zeros(y.shape, device=y.device)]
    loss = torch.zeros((), device=x.device)
    for q, k, dq, dk in ((a, b, gradients[0], gradients[1]), (b, a, gradients[1], gradients[0])):
        for at in range(0, n, rows):
            logits = (q[at:at + rows] @ k.T).float().mul_(SCALE)
            sums = torch.logsumexp(logits, 1)
            here = torch.arange(logits.shape[0], device=x.device)
            loss += (sums - logits[here, at + here]).sum()
            g = logits.sub_(sums[:, None]).exp_()
            g[here, at + here] -= 1
            g = g.mul_(SCALE / (2 * n) * 2.0 ** 14).to(a.dtype)
            dq[at:at + rows] += (g @ k).float() * 2.0 ** -14
            dk += (g.T @ q[at:at + rows]).float() * 2.0 ** -14
    return loss / (2 * n), gradients[0], gradients[1]


def by_tiles(algorithm):
    return lambda torch, x, y, precision: algorithm(torch, *in_precision(torch, precision, x.detach(), y.detach()), SCALE, precision == "tf32")


def by_autograd(loss):
    def run(torch, x, y, precision):
        x = x.detach().requires_grad_()
        y = y.detach().requires_grad_()
        value = loss(torch, x, y, precision)
        multiple = 2.0 ** 14 if precision == "f16" else 1.0  # or gradients of logits are too small for it
        (value * multiple).backward()
        return value.detach(), x.grad / multiple if multiple != 1 else x.grad, y.grad / multiple if multiple != 1 else y.grad
    return run


def optional(name, call):
    """A peer of another package, or why it is absent."""
    try:
        module = importlib.import_module(name)
    except Exception as problem:  # an import may fail in any way
        return None, "%s: %s" % (type(problem).__name__, str(problem).splitlines()[0] if str(problem) else "")
    return by_autograd(lambda torch, x, y, precision: call(torch, module, x, y, precision)), None


def peers(torch):
    compiled = torch.compile(dense, dynamic=False)

    found = {"torch eager": by_autograd(dense), "torch compiled": by_autograd(compiled),
             "torch eager, two products": by_autograd(two_products), "torch chunked": chunked, "Liger-like": liger_like}
    absent = {}
    try:
        tiles = importlib.import_module("tiles")
        found["Inf-CL-like"] = by_tiles(tiles.inf_cl_like)
        found["CCE-like"] = by_tiles(tiles.cce_like)
    except Exception as problem:
        absent["Inf-CL-like and CCE-like"] = "no triton: %s" % problem
    for name, module, call in (("Inf-CL", "inf_cl", inf_cl), ("CCE", "cut_cross_entropy", cce), ("Liger", "liger_kernel.transformers", liger)):
        peer, problem = optional(module, call)
        if peer is None:
            absent[name] = problem
        else:
            found[name] = peer
    return found, absent


def events(torch, run, seconds, most=40):
    """Milliseconds of each repetition; the cache gets other contents in between."""
    flush = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    times = []
    begun = time.monotonic()
    while len(times) < 3 or (len(times) < most and time.monotonic() - begun < seconds):
        flush.fill_(1)
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return times


def matrix_rates(torch, size):
    rates = {}
    for name, kind, tf32 in (("bf16", torch.bfloat16, False), ("f16", torch.float16, False), ("tf32", torch.float32, True),
                             ("f32", torch.float32, False)):
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        a = torch.randn(size, size, device="cuda", dtype=kind)
        b = torch.randn(size, size, device="cuda", dtype=kind)
        for _ in range(WARM_RUNS):
            a @ b
        rates[name] = 2 * size ** 3 / (statistics.median(events(torch, lambda: a @ b, 0.3, 20)) * 1e-3)
    return rates


# Layout, m, n, k of GemmTimes
PRODUCTS = (("nt", 8192, 8192, 8192), ("nn", 4096, 4096, 4096), ("nn", 32768, 3072, 768), ("nn", 32768, 768, 3072), ("nt", 32768, 768, 3072),
            ("tn", 768, 3072, 32768), ("tn", 768, 768, 32768))


def products(torch):
    """Milliseconds of torch.matmul on the products that GemmTimes measures."""
    lines = []
    for layout, m, n, k in PRODUCTS:
        for precision in ("bf16", "f16"):
            kind = sixteen(torch, precision)
            a = torch.randn((k, m) if layout[0] == "t" else (m, k), device="cuda").to(kind)
            b = torch.randn((n, k) if layout[1] == "t" else (k, n), device="cuda").to(kind)
            left, right = (a.T if layout[0] == "t" else a), (b.T if layout[1] == "t" else b)
            for _ in range(WARM_RUNS):
                torch.matmul(left, right)
            time_of = statistics.median(events(torch, lambda: torch.matmul(left, right), 0.1, 20))
            lines.append({"product": "%s:%d:%d:%d" % (layout, m, n, k), "precision": precision, "milliseconds": time_of,
                          "teraflops": 2e-9 * m * n * k / time_of})
    return lines


def reference(torch, x, y):
    """Loss and gradients of some rows in f64, a block of rows at a time."""
    n = x.shape[0]
    a, b = x.double(), y.double()
    rows = max(1, min(n, (1 << 27) // n))
    row_sums = torch.empty(n, device=x.device, dtype=torch.float64)
    column_sums = torch.full((n,), -math.inf, device=x.device, dtype=torch.float64)
    for at in range(0, n, rows):
        logits = SCALE * (a[at:at + rows] @ b.T)
        row_sums[at:at + rows] = torch.logsumexp(logits, 1)
        column_sums = torch.logaddexp(column_sums, torch.logsumexp(logits, 0))
    loss = ((row_sums + column_sums) / 2 - SCALE * (a * b).sum(1)).mean()
    picked = torch.linspace(0, n - 1, min(n, 16), device=x.device).long()
    here = torch.arange(picked.numel(), device=x.device)

    def gradient(own, other, own_sums, other_sums):
        logits = SCALE * (own[picked] @ other.T)
        g = torch.exp(logits - own_sums[picked, None]) + torch.exp(logits - other_sums[None, :])
        g[here, picked] -= 2
        return SCALE / (2 * n) * (g @ other)
    return loss.item(), picked, gradient(a, b, row_sums, column_sums), gradient(b, a, column_sums, row_sums)


def difference(torch, got, wanted):
    return (torch.linalg.norm(got.double() - wanted) / torch.linalg.norm(wanted)).item()


def measure(torch, peer, u, v, truth, precision, seconds):
    functional = torch.nn.functional

    def run():
        with torch.no_grad():
            x, y = functional.normalize(u), functional.normalize(v)
        return peer(torch, x, y, precision)
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.cuda.synchronize()
    begun = time.monotonic()
    value, dx, dy = run()
    torch.cuda.synchronize()
    result = {"firstSeconds": time.monotonic() - begun, "loss": float(value), "lossToF64": abs(float(value) - truth[0]),
              "dxToF64": difference(torch, dx[truth[1]], truth[2]), "dyToF64": difference(torch, dy[truth[1]], truth[3])}
    limit = {"bf16": 3e-2, "f16": 1e-2}.get(precision, 2e-3)
    result["agrees"] = result["dxToF64"] <= limit and result["dyToF64"] <= limit and result["lossToF64"] <= SCALE * 2 ** -8
    del value, dx, dy
    for _ in range(WARM_RUNS - 1):
        run()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    result["peakBytesBesideInputs"] = torch.cuda.max_memory_allocated() - before
    times = events(torch, run, seconds)
    result.update(milliseconds=statistics.median(times), least=min(times), repeats=len(times))
    return result


def race(torch, options, report, save):
    found, absent = peers(torch)
    report["absent"] = absent
    wanted = [name for name in found if not options.only or name in options.only.split(",")]
    deadline = time.monotonic() + options.seconds
    report["matrixRates"] = matrix_rates(torch, options.matrix)
    report["products"] = products(torch)
    save()
    truths = {}
    for d in options.widths:
        for precision in options.precisions.split(","):
            for n in options.sizes + (options.wide_sizes if d == options.widths[0] and precision == "bf16" else []):
                torch.manual_seed(31 * n + d)
                u = torch.rand(n, d, device="cuda") * 2 - 1
                v = torch.rand(n, d, device="cuda") * 2 - 1 + 0.5 * u
                for name in wanted:
                    line = {"peer": name, "precision": precision, "n": n, "d": d}
                    report["cases"].append(line)
                    # 12 n n d operations, some eight times, at a rate that is not good
                    guess = 12.0 * n * n * d * 8 / {"bf16": 2e14, "f16": 2e14, "tf32": 1e14, "f32": 3e13}[precision]
                    if time.monotonic() + guess > deadline:
                        line["skipped"] = "no time"
                    else:
                        attempt(torch, found[name], u, v, truths, line, options.case_seconds)
                    save()


def attempt(torch, peer, u, v, truths, line, seconds):
    """Fills the line; a peer that fails, for want of memory or otherwise, does not stop the others."""
    n, d = u.shape
    try:
        torch.set_float32_matmul_precision("highest")
        if (n, d) not in truths:
            normalize = torch.nn.functional.normalize
            truths[n, d] = reference(torch, normalize(u), normalize(v))
        torch._dynamo.reset()  # or it stops compiling after some shapes
        line.update(measure(torch, peer, u, v, truths[n, d], line["precision"], seconds))
        line["teraflops8nnd"] = 8e-9 * n * n * d / line["milliseconds"]
    except Exception as problem:
        line["failed"] = "%s: %s" % (type(problem).__name__, (str(problem) or "-").splitlines()[0])
    gc.collect()
    torch.cuda.empty_cache()


def table(report):
    print("matrix product, TFLOP/s:", ", ".join("%s %.1f" % (name, rate / 1e12) for name, rate in report["matrixRates"].items()))
    for line in report["products"]:
        print("torch.matmul %-22s %5s %10.4f ms %8.1f TFLOP/s" % (line["product"], line["precision"], line["milliseconds"], line["teraflops"]))
    for name, problem in report["absent"].items():
        print("absent: %s (%s)" % (name, problem))
    print("%-26s %5s %8s %5s %12s %10s %10s %10s" % ("peer", "kind", "n", "d", "ms", "MiB", "dx to f64", "agrees"))
    for line in report["cases"]:
        head = "%-26s %5s %8d %5d " % (line["peer"], line["precision"], line["n"], line["d"])
        if "milliseconds" in line:
            print(head + "%12.4f %10.1f %10.1e %10s" % (line["milliseconds"], line["peakBytesBesideInputs"] / 2 ** 20, line["dxToF64"],
                                                     line["agrees"]))
        else:
            print(head + (line.get("skipped") or line.get("failed")))


def main():
    options = arguments()
    try:
        import torch
    except ImportError as problem:
        print("peers.py: nothing measured, this python3 has no torch (%s)" % problem)
        return 3 if options.require else 0
    if not torch.cuda.is_available():
        print("peers.py: nothing measured, torch %s sees no GPU" % torch.__version__)
        return 3 if options.require else 0
    report = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "torch": torch.__version__, "cuda": torch.version.cuda,
              "gpu": torch.cuda.get_device_name(0), "scale": SCALE, "cases": []}

    def save():
        with open(options.out, "w", encoding="ascii") as file:
            json.dump(report, file, indent=1)
    race(torch, options, report, save)
    save()
    table(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
