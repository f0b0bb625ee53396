#!/usr/bin/env python3
"""Character models beside ONNX Runtime and PyTorch.

    char_peers.py BUILD/onnxtune TEXT [--steps 200]

1. Every net with a state of `onnxtune new` steps character by character through the text, in ONNX Runtime and here, each
   on its own states.  Prints the largest difference of log-probabilities and states over the steps, as a share of the
   output's largest value where that is over 1 (the cell of an LSTM goes far beyond); the bound is 1e-5.
2. RNN, GRU and LSTM as PyTorch's exporter writes them (both orders of the axes) come in, go on training on the text, and
   afterwards give the same outputs in ONNX Runtime.  Prints the loss before and after, and the difference.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import torch

NETS = ["char-rnn", "char-gru", "char-lstm"]
BOUND = 1e-5


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


def states_of(model):
    graph = onnx.load(model).graph
    inputs = [i for i in graph.input][1:]
    outputs = [o.name for o in graph.output]
    shape = {i.name: [d.dim_value or 1 for d in i.type.tensor_type.shape.dim] for i in inputs}
    return graph.input[0].name, shape, outputs


def step_here(onnxtune, model, folder, feed, outputs):
    command = [onnxtune, "run", model]
    for name, value in feed.items():
        np.save(folder / f"{name}.npy", value)
        command += ["--input", f"{name}={folder / (name + '.npy')}"]
    for i, name in enumerate(outputs):
        command += ["--value", f"{name}={folder / f'out{i}.npy'}"]
    run(*command)
    return [np.load(folder / f"out{i}.npy") for i in range(len(outputs))]


def step_both(onnxtune, model, folder, tokens, batch_first=False):
    """The largest difference over the steps, each side on its own states."""
    text, shape, outputs = states_of(model)
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    theirs = {name: np.zeros(dims, np.float32) for name, dims in shape.items()}
    ours = dict(theirs)
    worst = 0
    for token in tokens:
        x = np.array([[token]], np.int64)
        a = session.run(outputs, {text: x, **theirs})
        b = step_here(onnxtune, model, folder, {text: x, **ours}, outputs)
        worst = max(worst, max(float(np.abs(p - q).max() / max(1, np.abs(p).max())) for p, q in zip(a, b)))
        theirs = dict(zip(shape, a[1:]))
        ours = dict(zip(shape, b[1:]))
    return worst


class Char(torch.nn.Module):
    def __init__(self, cell, vocabulary, hidden, layers, batch_first):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, 42)
        self.cell = getattr(torch.nn, cell)(42, hidden, layers, batch_first=batch_first)
        self.out = torch.nn.Linear(hidden, vocabulary)

    def forward(self, text, *states):
        state = states if len(states) > 1 else states[0]
        y, state = self.cell(self.embedding(text), state)
        state = state if isinstance(state, tuple) else (state,)
        return (torch.log_softmax(self.out(y), -1), *state)


def export(cell, vocabulary, path, batch_first, hidden=64, layers=1):
    torch.manual_seed(1)
    net = Char(cell, vocabulary, hidden, layers, batch_first)
    states = [torch.zeros(layers, 2, hidden) for _ in range(2 if cell == "LSTM" else 1)]
    names = ["h0", "c0"][: len(states)]
    axes = {"text": {0: "N", 1: "T"} if batch_first else {0: "T", 1: "N"}}
    axes.update({n: {1: "N"} for n in names})
    torch.onnx.export(net, (torch.zeros(2, 3, dtype=torch.long) if batch_first else torch.zeros(3, 2, dtype=torch.long), *states),
                      path, input_names=["text"] + names, output_names=["prediction"] + [n[0] + "n" for n in names],
                      dynamic_axes=axes, opset_version=17, dynamo=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("onnxtune")
    parser.add_argument("text")
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    text = pathlib.Path(args.text).read_text(encoding="utf8")
    characters = ["<pad>"] + sorted(set(text))
    tokens = [characters.index(c) for c in text[1000 : 1000 + args.steps]]
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for net in NETS:
            model = folder / f"{net}.onnx"
            run(args.onnxtune, "lm", "train", "--text", args.text, "--net", net, "--steps", 30, "-o", model, "--quiet")
            worst = step_both(args.onnxtune, model, folder, tokens)
            bad += not worst <= BOUND
            print(f"{net}: {args.steps} steps, largest difference {worst:.2g}", flush=True)
        for cell in ("RNN", "GRU", "LSTM"):
            for batch_first in (False, True):
                model, trained = folder / "torch.onnx", folder / "trained.onnx"
                export(cell, len(characters), model, batch_first)
                extra = ["--batch-first"] if batch_first else []
                before = json.loads(run(args.onnxtune, "lm", "eval", model, "--text", args.text, "--json", *extra))["loss"]
                run(args.onnxtune, "lm", "train", model, "--text", args.text, "--lr", ".005", "--steps", 200, "-o", trained,
                    "--quiet", *extra)
                after = json.loads(run(args.onnxtune, "lm", "eval", trained, "--text", args.text, "--json"))["loss"]
                worst = step_both(args.onnxtune, trained, folder, tokens[:20])
                bad += not (worst <= BOUND and after < before - 1)
                print(f"torch {cell}{' batch first' if batch_first else ''}: loss {before:.4f}, after 200 steps {after:.4f}, "
                      f"largest difference {worst:.2g}", flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
