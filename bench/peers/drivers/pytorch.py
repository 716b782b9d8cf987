"""PyTorch: training steps by autograd and torch.optim, as people write them.

    python3 pytorch.py fp32|bf16 sgd|adam|adamw WIDTHS THREADS

bf16 is autocast: fp32 weights, products in bf16. The runs are those of trainee.go,
but all images are converted and standardised beforehand, for bf16 to bf16, which our
side does batch by batch. It speaks the protocol of worker.go.
"""

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


def blas():
    """Returns the file of the BLAS that is loaded, which fp32 products are up to."""
    with open("/proc/self/maps") as maps:
        files = {line[line.index("/") :].strip() for line in maps if "/lib" in line}
    named = {"/".join(f.split("/")[-2:]) for f in files if os.path.basename(f).startswith(("libopenblas", "libmkl_core", "libblis"))}
    return " and ".join(sorted(named)) or "no BLAS of its own"


signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it, too
try:
    import torch

    precision, optimizer, widths = sys.argv[1], sys.argv[2], [int(w) for w in sys.argv[3].split("-")]
    torch.set_num_threads(int(sys.argv[4]))
    gc.disable()  # as timeit does
    run = None
    print(f"ready PyTorch {torch.__version__}, {precision}, {blas()}", flush=True)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "prepare" and rest.partition(" ")[0].isdigit():
            batch, _, folder = rest.partition(" ")
            run = None  # its memory
            run, answer = prepare(int(batch), folder)
        elif command == "train" and rest.isdigit() and int(rest) > 0 and run:
            answer = f"{run.nanoseconds(int(rest)):.1f}"
        else:
            answer = f"error unknown command, or nothing is prepared: {line.strip()}"
        print(answer, flush=True)
except Exception as e:
    print("error", " ".join(str(e).split()), flush=True)
    sys.exit(1)
