"""Training steps: onnxtune against PyTorch, one step of each in turn.

    compare_torch_step.py STEP_ON_REQUEST FOLDER [--only WORD] [--threads 1,2] [--seconds 20] [--batch 16]

STEP_ON_REQUEST is the program of that name in the build folder, FOLDER holds the models.  Each model with all layers
training (statistics of the batch, SGD with momentum) and with the last layer alone; PyTorch in channels_last and as it
comes, the faster one counts.  Prints a row a case: minimum and median of both, the ratio of the minima, and the median
over the pairs of their ratio.  Before each step of several threads the machine rests, so that no
thread of the other side still looks for work.
"""
import argparse, pathlib, statistics, subprocess, time

import torch
import torch.nn.functional as F

from compare_torch import Net

REST = 0.03  # seconds
CASES = [("resnet34-grown", 224), ("resnet18", 224), ("mobilenetv2", 224), ("cifar10-resnet20", 32)]


class Ours:
    def __init__(self, program, path, batch, threads, mode, side):
        command = [program, str(path), str(batch), str(threads), mode, str(side), str(1000 if side == 224 else 10)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("compare_torch_step.py: onnxtune did not start")

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    def __init__(self, path, batch, mode, side, channels_last):
        self.net = Net(str(path), torch.float32)
        if channels_last:
            for name, t in self.net.weights.items():
                if t.dim() == 4:
                    t = t.detach().contiguous(memory_format=torch.channels_last)
                    self.net.weights[name] = t.requires_grad_()
        floats = [t for t in self.net.weights.values() if t.is_floating_point()]
        if mode == "head":
            names = set(self.net.nodes[-1].input[1:])
            for name, t in self.net.weights.items():
                t.requires_grad_(name in names) if t.is_floating_point() else None
            floats = [self.net.weights[name] for name in names]
        self.optimizer = torch.optim.SGD(floats, 1e-4, momentum=0.9)
        self.x = torch.rand(batch, 3, side, side) - 0.5
        if channels_last:
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.labels = torch.arange(batch) % 10

    def step(self):
        start = time.perf_counter()
        self.optimizer.zero_grad()
        F.cross_entropy(self.net(self.x), self.labels).backward()
        self.optimizer.step()
        return 1e3 * (time.perf_counter() - start)


def compare(program, path, batch, threads, mode, side, seconds):
    torch.set_num_threads(threads)
    peers = [Theirs(path, batch, mode, side, last) for last in (True, False)]
    first = [min(p.step() for _ in range(2)) for p in peers]
    theirs = peers[first.index(min(first))]
    ours = Ours(program, path, batch, threads, mode, side)
    a, b, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end or len(a) < 3:
        time.sleep(REST if threads > 1 else 0)
        b.append(theirs.step())
        time.sleep(REST if threads > 1 else 0)
        a.append(ours.step())
    ours.close()
    return a, b, "channels_last" if theirs is peers[0] else "as it comes"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    print(f"PyTorch {torch.__version__}, batch {args.batch}")
    for name, side in CASES:
        for mode in ("all", "head") if args.only in name else ():
            for threads in map(int, args.threads.split(",")):
                path = args.folder / f"{name}.onnx"
                a, b, form = compare(args.program, path, args.batch, threads, mode, side, args.seconds)
                paired = statistics.median(x / y for x, y in zip(a, b))
                print(
                    f"{name:18} {mode:4} {threads} | ours {min(a):8.1f} {statistics.median(a):8.1f} "
                    f"| theirs {min(b):8.1f} {statistics.median(b):8.1f} ({form}) | {min(a) / min(b):5.3f} | {paired:5.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
