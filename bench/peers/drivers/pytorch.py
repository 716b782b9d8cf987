"""PyTorch: training steps by autograd and torch.optim, as people write them, or products.

    python3 pytorch.py train THREADS fp32|bf16 sgd|adam|adamw WIDTHS
    python3 pytorch.py gemm THREADS

Products are torch.mm's of fp32. In training, bf16 is autocast: fp32 weights, products in bf16. The runs are those of trainee.go,
but all images are converted and standardised beforehand, for bf16 to bf16, which our
side does batch by batch. It speaks the protocol of worker.go.
"""

import ctypes
import gc
import math
import os
import signal
import sys
import time

CHECKED = 20  # steps whose outcome is told, or all of the first epoch, as in trainee.go
RATE = 1e-4  # as in bench/train.go


def load(folder, widths, dtype):
    """Returns samples, labels, the order of the first epoch, and parameters."""

    def read(name, dtype):
        with open(os.path.join(folder, name), "rb") as f:
            return torch.frombuffer(bytearray(f.read()), dtype=dtype)

    pixels = read("pixels", torch.uint8).view(-1, widths[0])
    values = read("values", torch.float32)
    samples = torch.empty(pixels.shape, dtype=dtype)
    for i in range(0, len(pixels), 1024):
        samples[i : i + 1024] = values[pixels[i : i + 1024].long()]
    return samples, read("labels", torch.uint8).long(), read("order", torch.int64), read("parameters", torch.float32)


class Run:
    """A training run at its beginning. how is what the optimizer is to use."""

    def __init__(self, data, batch, widths, optimizer, how):
        self.samples, self.labels, self.order, self.start = data
        self.at = 0
        layers = []
        for i, o in zip(widths, widths[1:]):
            layers += [torch.nn.Linear(i, o), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1])
        at = 0
        with torch.no_grad():
            for p in self.model.parameters():  # ours are [in, out]
                p.t().copy_(self.start[at : at + p.numel()].view(p.t().shape))
                at += p.numel()
        options = {"lr": RATE, **({how: True} if how else {})}
        if optimizer == "sgd":
            self.optimizer = torch.optim.SGD(self.model.parameters(), momentum=0.9, **options)
        else:
            kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
            self.optimizer = kinds[optimizer](self.model.parameters(), **options)
        self.autocast = self.samples.dtype == torch.bfloat16
        self.x = torch.empty((batch, widths[0]), dtype=self.samples.dtype)
        self.y = torch.empty(batch, dtype=torch.int64)

    def step(self):
        if self.at == len(self.order):
            self.order, self.at = torch.randperm(len(self.order)), 0
        chosen = self.order[self.at : self.at + len(self.y)]
        self.at += len(self.y)
        torch.index_select(self.samples, 0, chosen, out=self.x)
        torch.index_select(self.labels, 0, chosen, out=self.y)
        self.optimizer.zero_grad(set_to_none=True)
        if self.autocast:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = torch.nn.functional.cross_entropy(self.model(self.x), self.y)
        else:
            loss = torch.nn.functional.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss

    def nanoseconds(self, steps):
        """Returns what a step takes, after as many that are not timed."""
        for _ in range(steps):
            self.step()
        start = time.perf_counter_ns()
        for _ in range(steps):
            self.step()
        return (time.perf_counter_ns() - start) / steps

    def moved(self):
        """Returns how far the parameters are from the start, by Euclid."""
        now = torch.cat([p.detach().t().reshape(-1) for p in self.model.parameters()])
        return (now - self.start).double().square().sum().sqrt().item()


def fastest(new):
    """Returns what makes the optimizer the fastest, of what this PyTorch has."""
    runs = {}
    for how in ("", "foreach", "fused"):
        try:
            runs[how] = new(how)
            runs[how].step()
        except (TypeError, RuntimeError):
            runs.pop(how, None)
    best = dict.fromkeys(runs, math.inf)
    for _ in range(7):  # in turn, each for about 5 ms a time; the best time of each counts
        for how, run in runs.items():
            steps = 1 if best[how] == math.inf else max(1, int(2.5e6 / best[how]))
            best[how] = min(best[how], run.nanoseconds(steps))
    return min(best, key=best.get)


def prepare(batch, folder):
    data = load(folder, widths, torch.bfloat16 if precision == "bf16" else torch.float32)
    new = lambda how: Run(data, batch, widths, optimizer, how)
    how = fastest(new)
    run = new(how)
    losses = [run.step().item() for _ in range(min(CHECKED, len(run.order) // batch))]
    return run, f"ok {losses[0]:.9g} {losses[-1]:.9g} {run.moved():.9g} {how or 'plain'}"


def matrix(rows, cols, transposed, along_rows, fi, fp):
    """Returns an operand, stored transposed or not. along_rows says that k runs along
    the rows; the formula is that of operands.go."""
    i, p = torch.arange(rows).view(-1, 1), torch.arange(cols).view(1, -1)
    if along_rows:
        i, p = p, i
    values = (64 + (fi * i + fp * p) % 64) / (256 * (1 + i % 2)).float()
    return values.t().contiguous().t() if transposed else values.contiguous()


class Multiplier:
    """Products of one shape."""

    def __init__(self, m, n, k, trans):
        self.shape = [m, n, k]
        self.a = matrix(m, k, trans[0] == "t", False, 31, 17)
        self.b = matrix(k, n, trans[1] == "t", True, 13, 29)
        self.c = torch.zeros((m, n))
        torch.mm(self.a, self.b, out=self.c)

    def nanoseconds(self, calls):
        """Returns what a call takes, after as many that are not timed."""
        mm, a, b, c = torch.mm, self.a, self.b, self.c
        for _ in range(calls):
            mm(a, b, out=c)
        start = time.perf_counter_ns()
        for _ in range(calls):
            mm(a, b, out=c)
        return (time.perf_counter_ns() - start) / calls


def blas():
    """Returns the BLAS that is loaded, which fp32 products are up to: its file, and the
    processor that OpenBLAS takes this one for."""
    with open("/proc/self/maps") as maps:
        files = {line[line.index("/") :].strip() for line in maps if "/lib" in line}
    files = sorted(f for f in files if os.path.basename(f).startswith(("libopenblas", "libmkl_core", "libblis")))
    cores = set()
    for f in files:
        try:
            name = ctypes.CDLL(f).openblas_get_corename
            name.restype = ctypes.c_char_p
            cores.add("OpenBLAS " + name().decode())
        except (OSError, AttributeError):
            pass
    return " and ".join("/".join(f.split("/")[-2:]) for f in files) or "no BLAS of its own", sorted(cores)


def about(what):
    """Returns the name, the version, the instruction set of PyTorch's own code and that
    of its BLAS, and the rest."""
    ours = [line.split(":")[1].strip() for line in torch.__config__.show().splitlines() if "CPU capability usage" in line]
    file, cores = blas()
    core = ", ".join(["ATen " + c for c in ours] + cores)
    return "\t".join(["ready PyTorch", torch.__version__, core, f"{what}; {file}"])


signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it, too
try:
    import torch

    task = sys.argv[1]
    torch.set_num_threads(int(sys.argv[2]))
    what = "torch.mm"
    if task == "train":
        precision, optimizer, widths = sys.argv[3], sys.argv[4], [int(w) for w in sys.argv[5].split("-")]
        what = f"training in {precision}"
    gc.disable()  # as timeit does
    run = None
    print(about(what), flush=True)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        words = rest.split(" ")
        if task == "gemm" and command == "prepare" and len(words) == 4:
            run = Multiplier(*map(int, words[:3]), words[3])
            answer = f"ok {run.c[0, 0].item():.9g} {run.c[-1, -1].item():.9g}"
        elif task == "gemm" and command == "show" and run:
            answer = " ".join(f"{v:.9g}" for v in run.c.flatten().tolist())
        elif task == "gemm" and command == "gemm" and run and [int(w) for w in words[:3]] == run.shape and int(words[3]) > 0:
            answer = f"{run.nanoseconds(int(words[3])):.1f}"
        elif task == "train" and command == "prepare" and words[0].isdigit():
            batch, _, folder = rest.partition(" ")
            run = None  # its memory
            run, answer = prepare(int(batch), folder)
        elif task == "train" and command == "train" and rest.isdigit() and int(rest) > 0 and run:
            answer = f"{run.nanoseconds(int(rest)):.1f}"
        else:
            answer = f"error unknown command, or nothing is prepared: {line.strip()}"
        print(answer, flush=True)
except Exception as e:
    print("error", " ".join(str(e).split()), flush=True)
    sys.exit(1)
