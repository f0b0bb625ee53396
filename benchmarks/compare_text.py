#!/usr/bin/env python3
"""Character models: training steps against PyTorch, single characters against ONNX Runtime, one of each in turn.

    compare_text.py ONNXTUNE TEXT_ON_REQUEST TEXT [--only WORD] [--threads 1,2] [--seconds 10]

ONNXTUNE is the command, TEXT_ON_REQUEST the program of that name in the build folder.  A step: 64 streams, 8 characters
of each, an embedding of 42, Adam.  Prints a row a case: minimum and median of both in milliseconds, the ratio of the
minima, the median over the pairs of their ratio, and the peak memory of both in MB.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

REST = 0.03  # seconds before each of several threads, so that no thread of the other side still looks for work
CASES = {"char-rnn": (256, 1), "char-gru": (256, 1), "char-lstm": (512, 2)}
CLASSES, EMBED, ROWS, STEPS = 85, 42, 64, 8


class Asked:
    """A program that does one thing for each line and says how long it took."""

    def __init__(self, *command):
        command = [str(word) for word in command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"compare_text.py: {command[0]} did not start")

    def once(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        """Ends it and returns its peak memory in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        self.process.stdin.close()
        self.process.wait()
        return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def answer(once):
    """The other end of Asked."""
    for _ in range(4):
        once()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        once()
        print(f"{1e3 * (time.perf_counter() - start):.4f}", flush=True)


def torch_step(name, threads):
    import torch
    from torch import nn
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    hidden, layers = CASES[name]
    cell = {"char-rnn": nn.RNN, "char-gru": nn.GRU, "char-lstm": nn.LSTM}[name]
    embed, out = nn.Embedding(CLASSES, EMBED), nn.Linear(hidden, CLASSES)
    rnn = cell(EMBED, hidden, layers, dropout=0.5 if layers > 1 else 0)
    optimizer = torch.optim.Adam([*embed.parameters(), *rnn.parameters(), *out.parameters()], 1e-4)
    x, labels = torch.randint(0, CLASSES, (STEPS, ROWS)), torch.randint(0, CLASSES, (STEPS * ROWS,))
    state = None

    def once():
        nonlocal state
        optimizer.zero_grad()
        y, state = rnn(embed(x), state)
        state = tuple(s.detach() for s in state) if layers > 1 else state.detach()
        F.nll_loss(F.log_softmax(out(y), -1).view(-1, CLASSES), labels).backward()
        optimizer.step()

    answer(once)


def ort_run(path, threads):
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        feed[i.name] = np.zeros(shape, np.int64 if "int64" in i.type else np.float32)
    answer(lambda: session.run(None, feed))


def compare(what, name, threads, ours, theirs, seconds):
    a, b, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end or len(a) < 5:
        time.sleep(REST if threads > 1 else 0)
        b.append(theirs.once())
        time.sleep(REST if threads > 1 else 0)
        a.append(ours.once())
    paired = statistics.median(x / y for x, y in zip(a, b))
    print(
        f"{what} {name:10} {threads} | ours {min(a):8.3f} {statistics.median(a):8.3f} | theirs {min(b):8.3f} "
        f"{statistics.median(b):8.3f} | {min(a) / min(b):5.3f} | {paired:5.3f} | {ours.close():5.0f} {theirs.close():5.0f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command")
    parser.add_argument("program")
    parser.add_argument("text")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in CASES:
            path = f"{folder}/{name}.onnx"
            subprocess.run([args.command, "new", name, "-o", path], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(
                [args.command, "lm", "train", path, "--text", args.text, "--steps", "1", "-o", path],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # so that it has a vocabulary
            for threads in map(int, args.threads.split(",")):
                me = [sys.executable, __file__]
                cases = [("step", [args.text], [*me, "torch", name, threads]), ("run", [], [*me, "ort", path, threads])]
                for what, more, peer in cases if args.only in name else ():
                    ours = Asked(args.program, path, threads, what, *more)
                    compare(what, name, threads, ours, Asked(*peer), args.seconds)


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        torch_step(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "ort":
        ort_run(sys.argv[2], int(sys.argv[3]))
    else:
        main()
