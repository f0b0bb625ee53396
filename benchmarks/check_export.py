"""Checks exported models with other people's tools: the ONNX checker, and ONNX Runtime against onnxtune's own outputs.

    python check_export.py ONNXTUNE MODEL.onnx...

ONNXTUNE is the built command.  Each model runs on the same random input in both; the largest difference may be 1e-4 of
the largest value.  Prints a line a model; exit code 1 when one fails.
"""
import os, subprocess, sys, tempfile
import numpy as np, onnx, onnxruntime


def input_of(session):
    spec = session.get_inputs()[0]
    dims = [d if isinstance(d, int) else 2 if i == 0 else 64 for i, d in enumerate(spec.shape)]
    return spec.name, np.random.default_rng(7).standard_normal(dims).astype(np.float32)


def ours(command, path, name, x, output):
    with tempfile.TemporaryDirectory() as folder:
        source, result = os.path.join(folder, "x.npy"), os.path.join(folder, "y.npy")
        np.save(source, x)
        subprocess.run([command, "run", path, "--input", f"{name}={source}", "--value", f"{output}={result}", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        return np.load(result)


def main():
    command, failed = sys.argv[1], 0
    for path in sys.argv[2:]:
        onnx.checker.check_model(onnx.load(path), full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name, x = input_of(session)
        want = session.run(None, {name: x})[0]
        got = ours(command, path, name, x, session.get_outputs()[0].name)
        off = np.abs(got - want).max() / np.abs(want).max()
        failed += not off <= 1e-4
        print(f"{path}: the checker accepts it, off by {off:.2g} of the largest value{'' if off <= 1e-4 else ' FAILED'}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
