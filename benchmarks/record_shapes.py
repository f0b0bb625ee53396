#!/usr/bin/env python3
"""Records what ONNX's own shape inference finds, for tests/test_shapes.c.

    record_shapes.py FOLDER... > tests/onnx_shapes.txt

A FOLDER holds models, or folders with a model.onnx.  Shapes that a model declares for its outputs and inner values are
taken away first, so that the reference works from the inputs alone, as onnxtune does.  One line a model:

    NAME NODE.OUTPUT:TYPE[DIM,...] ...

NODE and OUTPUT are indices; ".0" is left out.  TYPE is ONNX's number of the element type; a DIM is a number, s where the
reference found a symbol, or ? where it found nothing.  Values that are no tensors, and those without a known rank, are
left out.
"""
import pathlib
import sys

import onnx
from onnx import shape_inference


def models(folder):
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.suffix == ".onnx":
            yield path.stem, path
        elif (path / "model.onnx").exists():
            yield path.name, path / "model.onnx"


def strip(graph):
    del graph.value_info[:]
    for output in graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")


def dim_text(dim):
    if dim.HasField("dim_value"):
        return str(dim.dim_value)
    return "s" if dim.dim_param and not dim.dim_param.startswith("unk__") else "?"


def facts(path):
    model = onnx.load(path, load_external_data=False)
    strip(model.graph)
    inferred = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
    place = {}
    for i, node in enumerate(inferred.graph.node):
        for k, name in enumerate(node.output):
            place[name] = f"{i}.{k}" if k else str(i)
    for value in list(inferred.graph.value_info) + list(inferred.graph.output):
        tensor = value.type.tensor_type
        if value.name in place and value.type.HasField("tensor_type") and tensor.HasField("shape"):
            dims = ",".join(dim_text(d) for d in tensor.shape.dim)
            yield f"{place[value.name]}:{tensor.elem_type}[{dims}]"


def main():
    for folder in sys.argv[1:]:
        for name, path in models(folder):
            try:
                found = list(facts(path))
            except Exception as error:
                print(f"{path}: {error}", file=sys.stderr)
                continue
            print(" ".join([name] + found))


main()
