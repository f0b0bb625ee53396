#!/usr/bin/env python3
"""Inference: onnxtune against ONNX Runtime, one run of each in turn, in one process group.

    compare_ort.py RUN_ON_REQUEST FOLDER [--only WORD] [--threads 1,2] [--seconds 6]

RUN_ON_REQUEST is the program of that name in the build folder, FOLDER holds the models.  Prints a row a case: minimum and
median of both in milliseconds, the ratio of the minima, and the median over the pairs of their ratio.  Before each run
of several threads the machine rests, so that no thread of the other side still looks for work.
"""
import argparse
import pathlib
import statistics
import subprocess
import time

import numpy as np
import onnxruntime as ort

REST = 0.03  # seconds
CASES = [
    ("resnet34-grown", [1, 16]),
    ("resnet18", [1, 16]),
    ("squeezenet1_1", [1, 16]),
    ("mobilenetv2", [1, 16]),
    ("cifar10-resnet20", [1, 256]),
]


def ort_session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def input_array(session, batch):
    shape = [d if isinstance(d, int) else 224 for d in session.get_inputs()[0].shape]
    shape[0] = batch
    flat = np.arange(np.prod(shape), dtype=np.int64) % 31
    return (flat.astype(np.float32) / np.float32(31) - np.float32(0.5)).reshape(shape)


class Ours:
    def __init__(self, program, path, shape, threads):
        command = [program, str(path), str(shape[0]), str(threads)] + [str(d) for d in shape]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.load_ms = float(self.process.stdout.readline().split()[1])

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(program, path, batch, threads, seconds):
    session = ort_session(path, threads)
    array = input_array(session, batch)
    feed = {session.get_inputs()[0].name: array}
    session.run(None, feed)
    ours = Ours(program, path, array.shape, threads)
    mine, theirs = [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(mine) < 3:
        time.sleep(REST if threads > 1 else 0)
        start = time.perf_counter()
        session.run(None, feed)
        theirs.append(1e3 * (time.perf_counter() - start))
        time.sleep(REST if threads > 1 else 0)
        mine.append(ours.run())
    ours.close()
    return mine, theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=6)
    args = parser.parse_args()
    print(f"ONNX Runtime {ort.__version__}")
    print(f"{'model':18} batch threads | ours min median | theirs min median | min/min | paired")
    for name, batches in CASES:
        for batch in batches if args.only in name else []:
            for threads in map(int, args.threads.split(",")):
                mine, theirs = compare(args.program, args.folder / f"{name}.onnx", batch, threads, args.seconds)
                paired = statistics.median(a / b for a, b in zip(mine, theirs))
                print(
                    f"{name:18} {batch:5} {threads:7} | {min(mine):8.2f} {statistics.median(mine):8.2f} "
                    f"| {min(theirs):8.2f} {statistics.median(theirs):8.2f} | {min(mine) / min(theirs):5.3f} | {paired:5.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
