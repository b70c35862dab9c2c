#!/usr/bin/env python3
"""Symmetric InfoNCE, value and gradients, by PyTorch and what else is installed: times, memory, errors.

    python3 peers.py [--out peers.json] [--sizes 8192,32768,131072] [--widths 512,768,1024] [--seconds 150]

The work is the same as what PairwiseTimes measures: rows of any length are normalised (not differentiated), then the
loss of their unit rows and its gradients by the unit rows. Nothing is vendored: a peer that cannot be imported is
listed as absent; the algorithms of Inf-CL, CCE and Liger are there in any case, as "... like", in Triton (tiles.py) or
PyTorch (losses.py).

Everything runs in another process, which is ended when a case runs over its limit and made anew after that or a fault
of the device; the report is written after each case. Without torch or a GPU it says so and exits with 0 (--require: 3).
--device cpu is a rehearsal: a peer that fails or disagrees then makes it exit with 1, and times say nothing of a GPU.
"""
import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time

# Layout, m, n, k of GemmTimes
PRODUCTS = (("nt", 8192, 8192, 8192), ("nn", 4096, 4096, 4096), ("nn", 32768, 3072, 768), ("nn", 32768, 768, 3072),
            ("nt", 32768, 768, 3072), ("tn", 768, 3072, 32768), ("tn", 768, 768, 32768))
PRECISIONS = ("bf16", "f16", "tf32", "f32")
SLOW_RATES = {"bf16": 2e14, "f16": 2e14, "tf32": 1e14, "f32": 3e13}  # operations per second that are not good
COMPILED = "torch compiled"


def numbers(text):
    return [int(part) for part in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description="Times peers of the pairwise loss on a GPU")
    parser.add_argument("--out", default="peers.json")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal")
    parser.add_argument("--sizes", type=numbers, default=[8192, 32768, 131072])
    parser.add_argument("--widths", type=numbers, default=[512, 768, 1024])
    parser.add_argument("--wide-sizes", type=numbers, default=[65536, 262144],
                        help="further sizes, of the first width in bf16 only")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="in that order")
    parser.add_argument("--matrix", type=int, default=8192, help="largest size of matrix products timed beside")
    parser.add_argument("--only", default="", help="names of peers, separated by commas")
    parser.add_argument("--seconds", type=float, default=150, help="after which nothing more is begun")
    parser.add_argument("--start-seconds", type=float, default=60, help="for a process to begin in")
    parser.add_argument("--limit-seconds", type=float, default=30, help="after which a case is ended")
    parser.add_argument("--case-seconds", type=float, default=0.5, help="of repetitions of one case")
    parser.add_argument("--compile-seconds", type=float, default=40, help="for all cases of the compiled peer")
    parser.add_argument("--require", action="store_true", help="exit with 3 when there is nothing to measure with")
    return parser.parse_args()


def work(options, parent):
    """The other process: answers tasks until the parent is gone."""
    try:
        import torch
        if options.device == "cuda" and not torch.cuda.is_available():
            raise ImportError("torch %s sees no GPU" % torch.__version__)
        import timing
    except ImportError as problem:
        parent.send({"nothing": "this python3 has no torch, or no use for it: %s" % problem})
        return
    bench = timing.Bench(options)
    parent.send(bench.facts())
    while True:
        try:
            task = parent.recv()
        except EOFError:
            return
        parent.send(bench.answer(task))


class Worker:
    """A process that does tasks, made when there is one to do."""

    def __init__(self, options):
        self.options = options
        self.process = self.pipe = self.facts = None

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(self.options, other))
        self.process.start()
        other.close()  # or its end would not be seen
        self.facts = self.reply(self.options.start_seconds)
        return self.facts

    def reply(self, seconds):
        try:
            if self.pipe.poll(seconds):
                return self.pipe.recv()
            problem = "stopped after %.0f s" % seconds
        except (EOFError, OSError):
            self.process.join(5)
            problem = "its process ended with %s" % self.process.exitcode
        self.stop()
        return {"failed": problem}

    def do(self, task, seconds):
        if self.process is None:
            facts = self.start()
            if "peers" not in facts:
                self.stop()
                return {"failed": "no process to run in: %s" % (facts.get("failed") or facts.get("nothing"))}
        try:
            self.pipe.send(task)
        except OSError:
            pass  # it has ended, which its reply says
        result = self.reply(seconds)
        if result.pop("broken", False):
            self.stop()
        return result

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


class Race:
    """All tasks in the order of their worth, and the report of them."""

    def __init__(self, options, worker, save, begun):
        self.options, self.worker, self.save = options, worker, save
        self.deadline = begun + options.seconds
        self.compiling = 0.0  # seconds so far
        self.longest_compilation = 0.0
        self.ended = {}  # processes, by the peer that ended them
        facts = worker.facts
        selected = options.only.split(",") if options.only else facts["peers"]
        self.report = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts, "rates": [], "products": [],
                       "cases": []}
        self.selected = [name for name in facts["peers"] if name in selected]

    def run(self):
        cap = self.options.matrix
        for precision in PRECISIONS:
            self.add("rates", {"task": "rate", "precision": precision, "size": cap})
        for layout, m, n, k in PRODUCTS:
            for precision in ("bf16", "f16"):
                self.add("products", {"task": "product", "layout": layout, "m": min(m, 4 * cap), "n": min(n, 4 * cap),
                                      "k": min(k, 4 * cap), "precision": precision})
        for precision, n, d in self.shapes():
            for name in self.selected:
                self.add("cases", {"task": "case", "peer": name, "precision": precision, "n": n, "d": d})

    def shapes(self):
        for precision in self.options.precisions.split(","):
            for d in self.options.widths:
                for n in self.options.sizes:
                    yield precision, n, d
            if precision == "bf16":
                for n in self.options.wide_sizes:
                    yield precision, n, self.options.widths[0]

    def add(self, part, task):
        line = {name: value for name, value in task.items() if name != "task"}
        self.report[part].append(line)
        reason = self.reason_to_skip(task)
        if reason:
            line["skipped"] = reason
        else:
            self.do(task, line)
        self.save(self.report)

    def do(self, task, line):
        begun = time.monotonic()
        name = task.get("peer")
        limit = self.options.limit_seconds
        if name == COMPILED:
            limit = max(limit, self.options.compile_seconds)
        line.update(self.worker.do(task, min(limit, max(5.0, self.deadline + 5 - begun))))
        line["seconds"] = time.monotonic() - begun
        if name == COMPILED:
            self.compiling += line["seconds"]
            self.longest_compilation = max(self.longest_compilation, line["seconds"])
        if self.worker.process is None:
            self.ended[name] = self.ended.get(name, 0) + 1

    def reason_to_skip(self, task):
        guess = 0.0
        if self.ended.get(task.get("peer"), 0) >= 2:
            return "it has ended two processes"
        if task["task"] == "case":  # 12 n n d operations, some eight times
            guess = 12.0 * task["n"] ** 2 * task["d"] * 8 / SLOW_RATES[task["precision"]]
            if task["peer"] == COMPILED:
                if self.compiling >= self.options.compile_seconds:
                    return "no more time for compiling"
                guess += self.longest_compilation
        return "no time" if time.monotonic() + guess > self.deadline else None


def result_of(line):
    return line.get("skipped") or line.get("failed") or "no result"


def table(report):
    for line in report["rates"]:
        name = "matrix product %d" % line["size"]
        print("%-35s %5s %s" % (name, line["precision"], speed(line)))
    for line in report["products"]:
        name = "torch.matmul %s:%d:%d:%d" % (line["layout"], line["m"], line["n"], line["k"])
        print("%-35s %5s %s" % (name, line["precision"], speed(line)))
    for name, problem in report["absent"].items():
        print("absent: %s (%s)" % (name, problem))
    print("%-26s %5s %8s %5s %12s %10s %10s %10s %s"
          % ("peer", "kind", "n", "d", "ms", "MiB", "dx to f64", "dy to f64", "agrees"))
    for line in report["cases"]:
        head = "%-26s %5s %8d %5d " % (line["peer"], line["precision"], line["n"], line["d"])
        if "milliseconds" not in line:
            print(head + result_of(line))
            continue
        print(head + "%12.4f %10s %10.1e %10.1e %s" % (
            line["milliseconds"], mebibytes(line), max(line["dxToF64"], line["allDxToF64"]),
            max(line["dyToF64"], line["allDyToF64"]), "yes" if line["agrees"] else "NO: this time does not count"))
    lines = report["cases"]
    print("%d cases timed, of which %d disagree with f64; %d failed, %d skipped" % (
        sum("milliseconds" in line for line in lines), sum(not line.get("agrees", True) for line in lines),
        sum("failed" in line for line in lines), sum("skipped" in line for line in lines)))


def speed(line):
    if "teraflops" not in line:
        return result_of(line)
    return "%10.4f ms %8.1f TFLOP/s" % (line["milliseconds"], line["teraflops"])


def mebibytes(line):
    return "%.1f" % (line["peakBytesBesideInputs"] / 2 ** 20) if "peakBytesBesideInputs" in line else "-"


def all_agree(report):
    lines = report["rates"] + report["products"] + report["cases"]
    return all("milliseconds" in line and line.get("agrees", True) or "skipped" in line for line in lines)


def main():
    options = arguments()

    def save(report):
        with open(options.out + ".part", "w", encoding="ascii") as file:
            json.dump(report, file, indent=1)
        os.replace(options.out + ".part", options.out)
    begun = time.monotonic()
    worker = Worker(options)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as compiled:
        for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):  # nothing is left behind, no user need have a name
            os.environ[name] = os.path.join(compiled, name)
        try:
            facts = worker.start()
            if "peers" in facts:
                race = Race(options, worker, save, begun)
                race.run()
        finally:
            worker.stop()
    if "failed" in facts:
        print("peers.py: torch does not begin: %s" % facts["failed"])
        return 1
    if "nothing" in facts:
        print("peers.py: nothing measured: %s" % facts["nothing"])
        return 3 if options.require else 0
    table(race.report)
    return 0 if options.device == "cuda" or all_agree(race.report) else 1


if __name__ == "__main__":
    sys.exit(main())
