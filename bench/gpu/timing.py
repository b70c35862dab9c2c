"""Times, peak memory and differences from f64 of peers on one device, for peers.py."""
import gc
import math
import statistics
import time

import torch
from torch.nn import functional

import losses

SCALE = losses.SCALE
FLUSH_BYTES = 1 << 28
PICKED_ROWS = 16
# Of gradients, relative; of the loss, absolute
LIMITS = {"bf16": (3e-2, SCALE * 2 ** -8), "f16": (1e-2, SCALE * 2 ** -9), "tf32": (2e-3, SCALE * 2 ** -10),
          "f32": (1e-4, 1e-4)}


class Truth:
    """Loss and gradients in f64, a block of rows at a time: some rows of both gradients, and both multiplied from the
    left by one vector of random signs, so that no row is left out."""

    def __init__(self, x, y):
        begun = time.monotonic()
        n = x.shape[0]
        a, b = x.double(), y.double()
        self.rows = max(1, min(n, (1 << 27) // n))
        row_sums, column_sums = self.sums(a, b)
        self.loss = ((row_sums + column_sums) / 2 - SCALE * (a * b).sum(1)).mean().item()
        self.picked = torch.linspace(0, n - 1, min(n, PICKED_ROWS), device=x.device).long()
        self.dx = self.some(a, b, row_sums, column_sums)
        self.dy = self.some(b, a, column_sums, row_sums)
        self.signs = torch.randint(0, 2, (n,), device=x.device).double() * 2 - 1
        left, right = torch.zeros_like(row_sums), torch.empty_like(row_sums)
        for at in range(0, n, self.rows):
            here = slice(at, min(n, at + self.rows))
            g = self.derivatives(a[here], b, row_sums[here], column_sums, torch.arange(at, here.stop, device=x.device))
            left += self.signs[here] @ g
            right[here] = g @ self.signs
        self.dx_signed, self.dy_signed = SCALE / (2 * n) * (left @ b), SCALE / (2 * n) * (right @ a)
        self.seconds = time.monotonic() - begun

    def sums(self, a, b):
        n = a.shape[0]
        row_sums = torch.empty(n, device=a.device, dtype=torch.float64)
        column_sums = torch.full_like(row_sums, -math.inf)
        for at in range(0, n, self.rows):
            logits = SCALE * (a[at:at + self.rows] @ b.T)
            row_sums[at:at + self.rows] = torch.logsumexp(logits, 1)
            column_sums = torch.logaddexp(column_sums, torch.logsumexp(logits, 0))
        return row_sums, column_sums

    def derivatives(self, own, other, own_sums, other_sums, positives):
        """2 n / SCALE times the derivative of the loss by the logits of rows whose pairs are columns `positives`."""
        logits = SCALE * (own @ other.T)
        g = torch.exp(logits - own_sums[:, None]) + torch.exp(logits - other_sums[None, :])
        g[torch.arange(own.shape[0], device=own.device), positives] -= 2
        return g

    def some(self, own, other, own_sums, other_sums):
        g = self.derivatives(own[self.picked], other, own_sums[self.picked], other_sums, self.picked)
        return SCALE / (2 * own.shape[0]) * (g @ other)

    def differences(self, loss, dx, dy):
        return {"loss": float(loss), "lossToF64": abs(float(loss) - self.loss),
                "dxToF64": relative(dx[self.picked], self.dx), "dyToF64": relative(dy[self.picked], self.dy),
                "allDxToF64": relative(self.signs @ dx.double(), self.dx_signed),
                "allDyToF64": relative(self.signs @ dy.double(), self.dy_signed)}


def relative(got, expected):
    return (torch.linalg.norm(got.double() - expected) / torch.linalg.norm(expected)).item()


def agrees(line, precision):
    gradient, loss = LIMITS[precision]
    return line["lossToF64"] <= loss and all(
        line[name] <= gradient for name in ("dxToF64", "dyToF64", "allDxToF64", "allDyToF64"))


class Bench:
    """What a worker of peers.py does for it, a line of the report at a time."""

    def __init__(self, options):
        self.options = options
        self.gpu = options.device == "cuda"
        self.found, self.absent = losses.peers(options.device)
        self.inputs = self.truth = None

    def facts(self):
        return {"device": torch.cuda.get_device_name(0) if self.gpu else "cpu", "torch": torch.__version__,
                "cuda": torch.version.cuda, "peers": list(self.found), "absent": self.absent, "scale": SCALE}

    def answer(self, task):
        """The result of a task; "broken" asks for another process, since nothing works on a device after a fault."""
        result = {}
        try:
            getattr(self, task["task"])(task, result)
        except Exception as problem:  # for want of memory or otherwise: it does not stop the others
            result["failed"] = "%s: %s" % (type(problem).__name__, " ".join(str(problem).split())[:400])
        try:
            self.tidy()
            self.wait()
        except Exception:
            result["broken"] = True
        return result

    def tidy(self):
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()

    def wait(self):
        if self.gpu:
            torch.cuda.synchronize()

    def milliseconds(self, run, seconds, most=40):
        """Of each repetition; the cache gets other contents in between."""
        flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda") if self.gpu else None
        times = []
        begun = time.monotonic()
        while len(times) < 3 or (len(times) < most and time.monotonic() - begun < seconds):
            if self.gpu:
                flush.fill_(1)
                begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                begin.record()
                run()
                end.record()
                end.synchronize()
                times.append(begin.elapsed_time(end))
            else:
                at = time.perf_counter()
                run()
                times.append((time.perf_counter() - at) * 1e3)
        return times

    def rate(self, task, result):
        """Of a matrix product, so that rates of the losses can be judged."""
        size = task["size"]
        set_precision(task["precision"])
        kind = losses.sixteen(task["precision"]) or torch.float32
        a, b = (torch.randn(size, size, device=self.options.device).to(kind) for _ in range(2))
        self.warm(lambda: a @ b)
        median = statistics.median(self.milliseconds(lambda: a @ b, 0.3, 20))
        result.update(milliseconds=median, teraflops=2e-9 * size ** 3 / median)

    def product(self, task, result):
        """torch.matmul on a product that GemmTimes measures."""
        layout, m, n, k = (task[name] for name in ("layout", "m", "n", "k"))
        kind = losses.sixteen(task["precision"])
        a = torch.randn((k, m) if layout[0] == "t" else (m, k), device=self.options.device).to(kind)
        b = torch.randn((n, k) if layout[1] == "t" else (k, n), device=self.options.device).to(kind)
        left, right = (a.T if layout[0] == "t" else a), (b.T if layout[1] == "t" else b)
        self.warm(lambda: torch.matmul(left, right))
        median = statistics.median(self.milliseconds(lambda: torch.matmul(left, right), 0.1, 20))
        result.update(milliseconds=median, teraflops=2e-9 * m * n * k / median)

    def warm(self, run):
        for _ in range(2):
            run()

    def inputs_of(self, n, d):
        """The same rows for every peer, and their truth; only the latest are kept."""
        if self.inputs is None or self.inputs[0].shape != (n, d):
            self.inputs = self.truth = None
            self.tidy()
            set_precision("f32")
            torch.manual_seed(31 * n + d)
            u = torch.rand(n, d, device=self.options.device) * 2 - 1
            v = torch.rand(n, d, device=self.options.device) * 2 - 1 + 0.5 * u
            self.truth = Truth(functional.normalize(u), functional.normalize(v))
            self.inputs = u, v
            self.tidy()
        return self.inputs

    def case(self, task, result):
        """First right, then fast: what a peer gives is compared with f64 before anything is timed."""
        u, v = self.inputs_of(task["n"], task["d"])
        result["truthSeconds"] = self.truth.seconds
        precision, peer = task["precision"], self.found[task["peer"]]
        getattr(peer, "begin_case", lambda: None)()
        set_precision(precision)

        def run():
            with torch.no_grad():
                x, y = functional.normalize(u), functional.normalize(v)
            return peer(x, y, precision)
        self.wait()
        begun = time.monotonic()
        loss, dx, dy = run()
        self.wait()
        result["firstSeconds"] = time.monotonic() - begun
        result.update(self.truth.differences(loss, dx, dy))
        result["agrees"] = agrees(result, precision)
        del loss, dx, dy
        if self.gpu:
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
        self.warm(run)
        self.wait()
        if self.gpu:
            result["peakBytesBesideInputs"] = torch.cuda.max_memory_allocated() - before
        times = self.milliseconds(run, self.options.case_seconds)
        median = statistics.median(times)
        result.update(milliseconds=median, least=min(times), repeats=len(times),
                      teraflops8nnd=8e-9 * task["n"] ** 2 * task["d"] / median)


def set_precision(precision):
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
