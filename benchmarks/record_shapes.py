#!/usr/bin/env python3
"""Records what ONNX's own shape inference finds, for tests/test_shapes.c.

    record_shapes.py FOLDER... > tests/onnx_shapes.txt

A FOLDER holds models, or folders with a model.onnx.  Shapes that a model declares for its outputs and inner values are
taken away first, so that the reference works from the inputs alone, as onnxtune does.  One line a model:

    NAME NODE.OUTPUT:TYPE[DIM,...] ...

NODE and OUTPUT are indices; ".0" is left out.  TYPE is ONNX's number of the element type; a DIM is a number, s where the
reference found a symbol, or ? where it found nothing.  Values that are no tensors, and those without a known rank, are
left out.  A model whose first input is a picture has a second line, NAME+free: batch, height and width are symbols there.
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


def free(graph):
    """Batch, height and width of the first input become symbols; False where it is no picture of known size."""
    shape = graph.input[0].type.tensor_type.shape if graph.input else None
    if shape is None or len(shape.dim) != 4 or not shape.dim[3].dim_value > 16:
        return False
    for i, name in ((0, "n"), (2, "h"), (3, "w")):
        shape.dim[i].dim_param = name
    return True


def facts(model):
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
            model = onnx.load(path, load_external_data=False)
            print(" ".join([name] + list(facts(model))))
            if path.suffix == ".onnx" and path.stem == name and free(model.graph):
                print(" ".join([name + "+free"] + list(facts(model))))


main()
