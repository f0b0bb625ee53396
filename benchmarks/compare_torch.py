"""Gradients of whole nets and a training trajectory, ours beside PyTorch's, from the same weights and samples.

    python compare_torch.py DUMP_GRADIENTS MODELS_FOLDER PHOTOS_FOLDER [--size 64] [--batch 4] [--only NAME] [--fixture FILE]

DUMP_GRADIENTS is the program that `make dump_gradients` builds.  For resnet18 (statistics of the batch), mobilenetv2
and squeezenet1_1: the gradient of the mean cross-entropy for every parameter, in float64 and float32; a tensor's error is
the largest difference over the largest value of PyTorch's.  Then 20 steps of ResNet-18 by SGD at rate .01 with momentum
.9 on one batch of 8, in float32 beside PyTorch in float64: its own float32 drifts further.  Exits with 1 where a bound
is passed: 1e-4 (float64), 1e-3 (float32 and losses).
"""
import argparse, glob, os, subprocess, sys, tempfile
import numpy as np, onnx, torch
import torch.nn.functional as F
from onnx import numpy_helper
from PIL import Image

MEAN = np.array([.485, .456, .406], np.float32).reshape(3, 1, 1)
STD = np.array([.229, .224, .225], np.float32).reshape(3, 1, 1)


class Net:
    """An ONNX graph run node by node; BatchNormalization with the statistics of the batch."""

    def __init__(self, path, dtype):
        graph = onnx.load(path).graph
        self.nodes, self.input, self.output = list(graph.node), graph.input[0].name, graph.output[0].name
        self.weights = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
        for name, t in self.weights.items():
            if t.is_floating_point():
                self.weights[name] = t.to(dtype).requires_grad_()

    def __call__(self, x):
        values = dict(self.weights, **{self.input: x})
        for node in self.nodes:
            a = {k.name: onnx.helper.get_attribute_value(k) for k in node.attribute}
            v = [values.get(name) for name in node.input]
            values[node.output[0]] = self.run(node.op_type, a, v, x.dtype)
        return values[self.output]

    @staticmethod
    def run(op, a, v, dtype):
        if op == "Constant":
            t = torch.tensor(numpy_helper.to_array(a["value"]))
            return t.to(dtype) if t.is_floating_point() else t
        if op == "Conv":
            return F.conv2d(v[0], v[1], v[2] if len(v) > 2 else None, a["strides"], a["pads"][:2], a["dilations"],
                            a["group"])
        if op == "BatchNormalization":
            return F.batch_norm(v[0], None, None, v[1], v[2], True, 0, a.get("epsilon", 1e-5))
        if op == "Relu":
            return F.relu(v[0])
        if op == "Clip":
            return torch.clip(v[0], v[1], v[2])
        if op == "Add":
            return v[0] + v[1]
        if op == "Concat":
            return torch.cat(v, a["axis"])
        if op == "MaxPool":
            return F.max_pool2d(v[0], a["kernel_shape"], a["strides"], a["pads"][:2], ceil_mode=bool(a.get("ceil_mode")))
        if op == "GlobalAveragePool":
            return v[0].mean((2, 3), keepdim=True)
        if op == "Flatten":
            return v[0].flatten(1)
        if op == "Gemm":
            return F.linear(v[0], v[1], v[2])
        raise SystemExit(f"compare_torch.py: no {op}")


def photos(folder, n, size):
    files = sorted(glob.glob(os.path.join(folder, "*.jpg")) + glob.glob(os.path.join(folder, "*.png")))
    out = []
    for i in range(n):
        image = Image.open(files[i % len(files)]).convert("RGB").resize((size + 16 * (i // len(files)),) * 2)
        image = np.asarray(image, np.float32).transpose(2, 0, 1)[:, :size, :size] / 255
        out.append((image - MEAN) / STD)
    return np.stack(out)


def ours(program, *args):
    done = subprocess.run([program, *args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [line.split() for line in done.stdout.splitlines()]


def gradients(args, name, x, labels, dtype, bound):
    path = os.path.join(args.models, name + ".onnx")
    net = Net(path, dtype)
    loss = F.cross_entropy(net(torch.tensor(x).to(dtype)), torch.tensor(labels))
    loss.backward()
    with tempfile.TemporaryDirectory() as folder:
        np.save(folder + "/x.npy", x.astype(np.float64 if dtype == torch.float64 else np.float32))
        np.save(folder + "/labels.npy", labels)
        kind = "double" if dtype == torch.float64 else "float"
        lines = ours(args.program, "gradients", path, folder + "/x.npy", folder + "/labels.npy", kind, folder)
        worst, where, seen = 0, "", set()
        for number, weight in lines[1:]:
            got, want = np.load(f"{folder}/{number}.npy"), net.weights[weight].grad.numpy()
            error = np.abs(got - want).max() / np.abs(want).max()
            seen.add(weight)
            if not error <= worst:
                worst, where = error, weight
    missing = {k for k, t in net.weights.items() if t.requires_grad and t.grad is not None} - seen
    off = abs(float(lines[0][0]) - loss.item()) / loss.item()
    good = worst <= bound and off <= bound and not missing
    print(f"{name:14} {kind:6} {len(seen):3} tensors, loss {loss.item():.6f} off by {off:.1e}, worst gradient {worst:.1e} "
          f"({where}){'' if good else '  TOO FAR'}{' missing ' + str(missing) if missing else ''}", flush=True)
    return good


def steps(path, x, labels, dtype, n, rate):
    """Losses and gradient norms of n steps of SGD."""
    net = Net(path, dtype)
    used = [t for k, t in net.weights.items() if t.requires_grad and "running" not in k]
    sgd = torch.optim.SGD(used, float(np.float32(rate)), .9)
    out = []
    for _ in range(n):
        sgd.zero_grad()
        loss = F.cross_entropy(net(torch.tensor(x).to(dtype)), torch.tensor(labels))
        loss.backward()
        out.append((loss.item(), torch.sqrt(sum((t.grad ** 2).sum() for t in used)).item()))
        sgd.step()
    return out


def trajectory(args, x, labels, n=20, rate=.01):
    path = os.path.join(args.models, "resnet18.onnx")
    want, single = (steps(path, x, labels, dtype, n, rate) for dtype in (torch.float64, torch.float32))
    got = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(folder + "/labels.npy", labels)
        for kind, dtype in (("double", np.float64), ("float", np.float32)):
            np.save(folder + "/x.npy", x.astype(dtype))
            lines = ours(args.program, "steps", path, folder + "/x.npy", folder + "/labels.npy", kind, str(n), str(rate))
            got[kind] = [float(line[0]) for line in lines]
    for i in range(n):
        print(f"step {i:2}: float64 PyTorch {want[i][0]:.9f} ours {got['double'][i]:.9f}, "
              f"float32 PyTorch {single[i][0]:.6f} ours {got['float'][i]:.6f}")
    off = [max(abs(a[0] - b) for a, b in zip(want, other))
           for other in (got["double"], got["float"], [s[0] for s in single])]
    good = off[0] <= 1e-6 and off[1] <= 1e-3
    print(f"resnet18, {n} steps: losses are off PyTorch's in float64 by at most {off[0]:.1e} (our float64), {off[1]:.1e} "
          f"(our float32), {off[2]:.1e} (PyTorch's float32){'' if good else '  TOO FAR'}")
    return good


def pattern(n):
    """The samples of tests/test_torch.c, which need no file.  No activation is near 0 in the first three steps."""
    i = np.arange(n * 3 * 64 * 64, dtype=np.int64)
    x = ((i * 7919 + (i // 4096 + 1) * 39) % 1009).astype(np.float32) / np.float32(252) - np.float32(2)
    return x.reshape(n, 3, 64, 64)


def fixture(args):
    """The table that tests/test_torch.c reproduces."""
    path, n = os.path.join(args.models, "resnet18.onnx"), 4
    x, labels = pattern(n), np.arange(n, dtype=np.int64) * 37 % 1000
    net = Net(path, torch.float64)
    F.cross_entropy(net(torch.tensor(x).to(torch.float64)), torch.tensor(labels)).backward()
    lines = ["/* PyTorch's numbers in float64 for tests/test_torch.c; made by compare_torch.py --fixture. */", ""]
    for name, rate, count in (("fast", 1e-3, 8), ("slow", 1e-5, 3)):
        lines += [f"/* The loss and the gradients' norm of each step, at a rate of {rate:g}. */",
                  f"static const double torch_{name}[][2] = {{"]
        lines += [f"    {{ {a:.12g}, {b:.12g} }}," for a, b in steps(path, x, labels, torch.float64, count, rate)]
        lines += ["};", ""]
    lines += ["static const struct {", "    const char *name;", "    double norm; /* of the first step's gradient */",
              "} torch_gradient[] = {"]
    lines += [f'    {{ "{k}", {t.grad.norm().item():.12g} }},' for k, t in net.weights.items() if t.grad is not None]
    open(args.fixture, "w").write("\n".join(lines + ["};", ""]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program"), p.add_argument("models"), p.add_argument("photos")
    p.add_argument("--size", type=int, default=64), p.add_argument("--batch", type=int, default=4)
    p.add_argument("--only", default="", help="a model, or steps"), p.add_argument("--fixture", help="write it and end")
    args = p.parse_args()
    torch.set_num_threads(2)
    if args.fixture:
        return fixture(args)
    good = True
    x = photos(args.photos, args.batch, args.size)
    labels = np.arange(args.batch, dtype=np.int64) * 37 % 1000
    for name in ("resnet18", "mobilenetv2", "squeezenet1_1"):
        for dtype, bound in ((torch.float64, 1e-4), (torch.float32, 1e-3)):
            if args.only in ("", name):
                good &= gradients(args, name, x, labels, dtype, bound)
    if args.only in ("", "steps"):
        good &= trajectory(args, photos(args.photos, 8, args.size), np.arange(8, dtype=np.int64) * 37 % 1000)
    sys.exit(not good)


if __name__ == "__main__":
    main()
