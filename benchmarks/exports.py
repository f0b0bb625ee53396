"""Do the files that PyTorch's exporters write load and run, and do the outputs agree with ONNX Runtime's?

    python exports.py ONNXTUNE [WORD...] [--keep DIR]

ONNXTUNE is the built command.  Exports the nets of export_nets.py with both of PyTorch's exporters (script: torch.onnx.export
over TorchScript; dynamo: over torch.export, which wants the package onnxscript), for every opset that each can write, with
a fixed shape (batch 1), a free batch, and free height and width.  Each file runs on two batch sizes (the fixed ones, where
onnxtune frees the batch, against single runs of ONNX Runtime) and, where those are free, on two picture sizes; the largest difference may be 1e-4 of the largest value.  WORDs restrict it to files whose name contains
all of them.  Prints a line a file and a summary; exit code 1 when one fails that ONNX Runtime runs.
"""
import contextlib, logging, os, subprocess, sys, tempfile, warnings
import numpy as np, onnx, onnxruntime, torch
import export_nets

OPSETS = range(9, 22)
DYNAMO_WRITES = 17  # for some nets; asked for an older opset, and for the others at 17, it writes 18
FREE = {"fixed": None, "batch": (0,), "size": (0, 2, 3)}


@contextlib.contextmanager
def quiet():
    """The exporters print graphs, from C++ too."""
    kept, null = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    for fd in (1, 2):
        os.dup2(null, fd)
    try:
        yield
    finally:
        sys.stdout.flush()
        for fd in (1, 2):
            os.dup2(kept[fd - 1], fd)
        for fd in (*kept, null):
            os.close(fd)


def export(net, x, path, exporter, opset, free):
    names = {0: "batch", 2: "height", 3: "width"}
    shapes = {"dynamic_axes": {"x": {d: names[d] for d in free}, "y": {0: "batch"}}} if free else {}
    if exporter == "dynamo" and free:
        shapes = {"dynamic_shapes": {"x": {d: torch.export.Dim.DYNAMIC for d in free}}}
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x, ), path, input_names=["x"], output_names=["y"], opset_version=opset,
                          dynamo=exporter == "dynamo", external_data=False, **shapes)


def ours(command, path, x, folder):
    source, result = os.path.join(folder, "x.npy"), os.path.join(folder, "y.npy")
    np.save(source, x)
    done = subprocess.run([command, "run", path, "--input", f"x={source}", "--value", f"y={result}", "--quiet"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().split(": ", 2)[-1])
    return np.load(result)


def check(command, path, inputs, folder):
    """(ok, what is said of the file)."""
    try:
        theirs = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        want = [theirs.run(None, {"x": x})[0] for x in inputs]
        if theirs.get_inputs()[0].shape[0] == 1:  # ours takes any batch
            inputs = inputs + [np.concatenate(inputs)]
            want += [np.concatenate(want)]
    except Exception as e:
        return True, "ONNX Runtime cannot: " + str(e).split("\n")[0][:160]
    if any(np.abs(np.diff(w, axis=0)).max() < 1e-2 * np.abs(w).max() for w in want if len(w) > 1):
        return False, "FAILED: the net hardly looks at its input"
    off, only_one = 0, ""
    for x, w in zip(inputs, want):
        try:
            y = ours(command, path, x, folder)
        except RuntimeError as e:
            if "dimension 0 is 1, given" in str(e):  # asked for two: the exporter wrote places of one sample down
                only_one = ", for a batch of 1 only"
                continue
            return False, f"FAILED on {list(x.shape)}: {str(e).splitlines()[0][:300]}"
        if y.shape != w.shape:
            return False, f"FAILED: the output is {list(y.shape)}, ONNX Runtime's is {list(w.shape)}"
        off = max(off, np.abs(y - w).max() / np.abs(w).max())
    return off <= 1e-4, f"{'agrees' if off <= 1e-4 else 'FAILED'}, off by {off:.1e}{only_one}"


def files(words):
    for net, (_, flexible, side, step) in export_nets.NETS.items():
        for exporter in ("script", "dynamo"):
            for opset in OPSETS:
                for free in FREE:
                    if exporter == "dynamo" and opset < DYNAMO_WRITES - 1:  # one before is tried, to see that it still is so
                        continue
                    name = f"{net}-{exporter}-{opset}-{free}"
                    if all(w in name for w in words) and (free != "size" or flexible):
                        yield name, net, exporter, opset, free, side, step


def main():
    logging.disable(logging.CRITICAL)
    onnxruntime.set_default_logger_severity(4)
    arguments, keep = sys.argv[1:], None
    if "--keep" in arguments:
        at = arguments.index("--keep")
        keep = arguments[at + 1]
        del arguments[at:at + 2]
    command, counts, rng = arguments[0], {}, np.random.default_rng(7)
    folder = keep or tempfile.mkdtemp()
    for name, net, exporter, opset, free, side, step in files(arguments[1:]):
        path = os.path.join(folder, name + ".onnx")
        try:
            export(export_nets.make(net), torch.randn(1 if free == "fixed" else 2, 3, side, side), path, exporter, opset, FREE[free])
            written = onnx.load(path).opset_import
            written = next(o.version for o in written if o.domain == "")
            if written != opset:
                raise ValueError(f"the exporter writes opset {written}")
        except Exception as e:
            ok, said = None, "not exported: " + (str(e).strip() or type(e).__name__).split("\n")[0][:160]
        else:
            sizes = [(1, side, side)] * 2 if free == "fixed" else [(2, side, side), (3, side, side)]
            sizes += [(1, side + step, side + 2 * step)] if free == "size" else []
            inputs = [rng.standard_normal((n, 3, h, w)).astype(np.float32) for n, h, w in sizes]
            ok, said = check(command, path, inputs, folder)
        kind = "not exported" if ok is None else "FAILED" if not ok else "agree" if said[0] == "a" else "ONNX Runtime cannot"
        counts[kind] = counts.get(kind, 0) + 1
        print(f"{net:13} {exporter:6} {opset:2} {free:5}  {said}", flush=True)
        if not keep and os.path.exists(path):
            os.remove(path)
    print(", ".join(f"{n} {k}" for k, n in sorted(counts.items())))
    sys.exit("FAILED" in counts)


if __name__ == "__main__":
    main()
