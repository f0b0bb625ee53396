"""Compares `onnxtune check` with the ONNX checker: on models as they are, and on models that are broken on purpose.

    python compare_checker.py ONNXTUNE [--broken N] [--seed S] [--keep DIR] MODEL.onnx...

Every model is judged by both.  Then N models are drawn from them (every second one is a model of
functions, subgraphs, sparse and external data) and changed in one to three random places: a field
cleared, set to an odd value, repeated, moved, or renamed to another name of the model.  Prints both counts, what
onnxtune lets pass that the checker refuses (each is a fault, and kept in DIR), and what it finds beyond the checker, by
kind.  Exit code 1 when there is a fault, or when an unbroken model that the checker accepts has findings.
"""
import argparse, collections, json, os, random, re, shutil, subprocess, sys, tempfile
import onnx
from google.protobuf.descriptor import FieldDescriptor as F

ODD = [0, 1, -1, 2, 3, 7, 12, 27, 99, 2**31 - 1, -(2**31)]


def repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == F.LABEL_REPEATED


def places(message):
    """All (message, field) below a message, those that are not set too."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
        if field.type == F.TYPE_MESSAGE:
            for inner in getattr(message, field.name) if repeated(field) else (
                    [getattr(message, field.name)] if message.HasField(field.name) else []):
                yield from places(inner)


def texts_of(model):
    found = {"", "no_such_name"}
    for message, field in places(model):
        if field.type == F.TYPE_STRING:
            found.update(getattr(message, field.name) if repeated(field) else [getattr(message, field.name)])
    return sorted(found)


def odd_value(field, rng, texts):
    if field.type == F.TYPE_STRING:
        return rng.choice(texts)
    if field.type == F.TYPE_BYTES:
        return bytes(rng.randrange(0, 12))
    if field.type == F.TYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values])
    if field.type in (F.TYPE_FLOAT, F.TYPE_DOUBLE):
        return 0.5
    if field.type in (F.TYPE_UINT64, F.TYPE_UINT32):
        return rng.choice([0, 1, 2**31])
    return rng.choice(ODD)


def change_list(message, field, rng, texts):
    items, kind = getattr(message, field.name), rng.choice(["drop", "double", "swap", "set", "clear", "add"])
    if kind == "clear":
        message.ClearField(field.name)
    elif kind == "drop" and items:
        del items[rng.randrange(len(items))]
    elif kind == "double" and items:
        item = items[rng.randrange(len(items))]
        items.add().CopyFrom(item) if field.type == F.TYPE_MESSAGE else items.append(item)
    elif kind == "swap" and len(items) > 1:
        i, k = rng.sample(range(len(items)), 2)
        if field.type == F.TYPE_MESSAGE:
            spare = type(items[i])()
            spare.CopyFrom(items[i])
            items[i].CopyFrom(items[k])
            items[k].CopyFrom(spare)
        else:
            items[i], items[k] = items[k], items[i]
    elif kind == "add" and field.type == F.TYPE_MESSAGE:
        items.add()
    elif field.type != F.TYPE_MESSAGE:
        value = odd_value(field, rng, texts)
        if items and kind == "set":
            items[rng.randrange(len(items))] = value
        else:
            items.append(value)


def change(model, rng):
    """One change in a random place; the depth of the place is drawn first, so that few fields at the top count too."""
    by_message = collections.defaultdict(list)
    for message, field in places(model):
        by_message[message.DESCRIPTOR.name].append((message, field))
    message, field = rng.choice(by_message[rng.choice(sorted(by_message))])
    if repeated(field):
        change_list(message, field, rng, texts_of(model))
    elif message.HasField(field.name) and rng.random() < 0.4:
        message.ClearField(field.name)
    elif field.type == F.TYPE_MESSAGE:
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, odd_value(field, rng, texts_of(model)))
    return f"{message.DESCRIPTOR.name}.{field.name}"


def theirs(path):
    try:
        onnx.checker.check_model(path)
        return ""
    except Exception as e:  # what the checker says, or that the file cannot be read
        return str(e).strip() or type(e).__name__


def ours(command, path):
    done = subprocess.run([command, "check", path, "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{path}: onnxtune ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)["findings"] if done.stdout else [done.stderr.strip()]


RICH = """<ir_version: 9, opset_import: ["" : 17, "my" : 1]>
rich (float[2,3] x, bool yes) => (float[2,4] y, float[2,4] z, optional(float[2,4]) o)
<float[3,4] w = {1,2,3,4,5,6,7,8,9,10,11,12}, float[1] one = {1}>
{
    h = Gemm <alpha = 2.0> (x, w)
    y = If (yes) <then_branch = t () => (a) { a = Relu(h) }, else_branch = e () => (b) { b = my.twice <slope: float = 0.5> (h) }>
    z = my.thrice(h)
    o = Optional(h)
}
<opset_import: ["" : 17], domain: "my">
twice <slope> (v) => (s) { d = Add(v, v) s = LeakyRelu <alpha: float = @slope> (d) }
<opset_import: ["" : 17, "my" : 1], domain: "my">
thrice (v) => (s) { d = my.twice <slope: float = 0.1> (v) s = Add(d, v) }
"""


def rich_model(folder):
    """Functions, subgraphs, sparse and external initializers, annotations: what the test models have little of."""
    model = onnx.parser.parse_model(RICH)
    values = onnx.helper.make_tensor("sparse", 1, [3], [1, 2, 3])
    for indices in onnx.helper.make_tensor("flat", 7, [3], [0, 2, 5]), onnx.helper.make_tensor("rows", 7, [3, 2], [0, 0, 0, 2, 1, 1]):
        sparse = model.graph.sparse_initializer.add()
        sparse.CopyFrom(onnx.helper.make_sparse_tensor(values, indices, [2, 3]))
        sparse.values.name = indices.name
    outside = model.graph.initializer.add(name="outside", data_type=1, dims=[4], data_location=1)
    for key, value in ("location", "data.bin"), ("offset", "8"), ("length", "16"):
        outside.external_data.add(key=key, value=value)
    with open(os.path.join(folder, "data.bin"), "wb") as f:
        f.write(bytes(24))
    onnx.helper.set_model_props(model, {"a": "1", "b": "2"})
    path = os.path.join(folder, "rich.onnx")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    return path


def load(path):
    return onnx.load(path, load_external_data=False)


def kind_of(finding):
    return re.sub(r"'[^']*'|-?\d+", "_", finding.split(": ")[-1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("command")
    p.add_argument("models", nargs="+")
    p.add_argument("--broken", type=int, default=600)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep")
    a = p.parse_args()
    rng, good, faults, beyond = random.Random(a.seed), [], 0, collections.Counter()
    workplace = tempfile.TemporaryDirectory()
    folder = workplace.name
    rich = rich_model(folder)
    for path in [*a.models, rich]:
        said, found = theirs(path), ours(a.command, path)
        if bool(said) != bool(found):
            print(f"{path}: the checker says {said!r}, onnxtune {found}")
            faults += 1
        good += [path] if not said else []
    print(f"{len(a.models) + 1} models: the checker accepts {len(good)}, {faults} verdicts differ")
    both = neither = 0
    path = os.path.join(folder, "model.onnx")
    for i in range(a.broken):
        model = load(rich if i % 2 else rng.choice(good))
        where = [change(model, rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        with open(path, "wb") as f:
            f.write(model.SerializeToString())
        said, found = theirs(path), ours(a.command, path)
        both += bool(said and found)
        neither += not said and not found
        if said and not found:
            faults += 1
            print(f"broken {i} ({', '.join(where)}): onnxtune finds nothing, the checker says: {said[:300]}")
            if a.keep:
                os.makedirs(a.keep, exist_ok=True)
                shutil.copy(path, os.path.join(a.keep, f"broken{i}.onnx"))
        elif found and not said:
            beyond[kind_of(found[0])] += 1
            if a.keep and beyond[kind_of(found[0])] == 1:
                print(f"beyond {i} ({', '.join(where)}): {found[0][:200]}")
    print(f"{a.broken} broken models: both refuse {both}, both accept {neither}, onnxtune alone refuses {sum(beyond.values())}:")
    for kind, n in beyond.most_common():
        print(f"{n:6} {kind}")
    sys.exit(faults > 0)


main()
