"""Writes runtime/model/schema_table.inc: the facts of every operator of ONNX at every version.

    python make_schema_table.py runtime/model/schema_table.inc

The facts come from the registry of the installed onnx package.  What the registry does not tell (counts of outputs that
are left out of a range, operators that take any attribute) is found by asking the checker about made-up nodes.
"""
import re, sys
import onnx
from onnx import checker, defs, helper

DOMAINS = ["", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"]
# The order is the bit in ot_type_set.maps.
MAPS = ["map(int64,string)", "map(int64,float)", "map(int64,double)", "map(string,int64)", "map(string,float)",
        "map(string,double)", "seq(map(string,float))", "seq(map(int64,float))"]
KINDS = ["tensor", "seq", "optional", "optional_seq"]
OPTION = {"Single": 0, "Optional": 1, "Variadic": 2}
DEPRECATED, FUNCTION, ANY_ATTRIBUTE, REQUIRED, MIXED, ANY_NUMBER = 1, 2, 4, 1, 4, 255
LONGEST_LITERAL = 4095  # what C promises


def type_bit(text):
    """(kind, bit) of a type's text."""
    text = text.replace(" ", "")
    if text in MAPS:
        return "maps", MAPS.index(text)
    m = re.fullmatch(r"(?:(seq|optional)\()?(?:(seq)\()?tensor\((\w+)\)+", text)
    outer = "_".join(part for part in m.groups()[:2] if part) or "tensor"
    return outer, onnx.TensorProto.DataType.Value(m.group(3).upper())


def type_set(texts):
    masks = dict.fromkeys(KINDS + ["maps"], 0)
    for text in texts:
        kind, bit = type_bit(text)
        masks[kind] |= 1 << bit
    return tuple(masks[k] for k in KINDS + ["maps"])


class Pool:
    """A list of items; a run of items that is there already is not stored again."""

    def __init__(self):
        self.items, self.runs = [], {}

    def run(self, items):
        items = tuple(items)
        if items not in self.runs:
            self.runs[items] = len(self.items)
            self.items += items
        return self.runs[items] if items else 0


class Text:
    """Names behind each other in one literal; a name is its offset."""

    def __init__(self, names):
        self.at, self.lines, n = {}, [], 0
        for name in sorted(set(names)):
            self.at[name] = n
            self.lines.append(f'    "{name}\\0"')
            n += len(name) + 1
        if n > LONGEST_LITERAL:
            sys.exit(f"a literal of {n} characters: split it")


def verdict(s, n_in, n_out, **attributes):
    node = helper.make_node(s.name, ["x"] * n_in, ["y"] * n_out, domain=s.domain, **attributes)
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = onnx.IR_VERSION, {s.domain: s.since_version}
    try:
        checker.check_node(node, context)
        return ""
    except checker.ValidationError as e:
        return str(e)


def forbidden_outputs(s):
    """Counts of outputs between least and most that are not allowed, as bits."""
    mask = 0
    for n in range(s.min_output, min(s.max_output, 7) + 1):
        if not s.deprecated and "not in allowed output sizes" in verdict(s, s.min_input, n):
            mask |= 1 << n
        if not s.deprecated and "not in allowed input sizes" in verdict(s, s.min_input, n):
            sys.exit(f"{s.name}-{s.since_version} leaves counts of inputs out: the table has no place for that")
    return mask


def takes_any_attribute(s):
    required = {}
    for a in s.attributes.values():
        if a.required:
            return False
    return not s.deprecated and verdict(s, s.min_input, s.min_output, surely_unknown=1, **required) == ""


def main():
    schemas = sorted(defs.get_all_schemas_with_history(),
                     key=lambda s: (DOMAINS.index(s.domain), s.name.encode(), s.since_version))
    ops = Text(s.name for s in schemas)
    attribute_names = Text(a for s in schemas for a in s.attributes)
    formal_names = Text(f.name for s in schemas for f in [*s.inputs, *s.outputs])
    sets, lists, formals, attributes, rows = {}, Pool(), Pool(), Pool(), []
    for s in schemas:
        variables = {t.type_param_str: type_set(t.allowed_type_strs) for t in s.type_constraints}
        order = {}

        def formal(f):
            if f.type_str not in order:
                wanted = variables.get(f.type_str) or type_set([f.type_str])
                order[f.type_str] = sets.setdefault(wanted, len(sets))
            option = OPTION[f.option.name] | (0 if f.is_homogeneous else MIXED)
            return formal_names.at[f.name], list(order).index(f.type_str), option

        inputs, outputs = formals.run(map(formal, s.inputs)), formals.run(map(formal, s.outputs))
        names = sorted(s.attributes.values(), key=lambda a: a.name.encode())
        listed = attributes.run((attribute_names.at[a.name], a.type.value, REQUIRED * a.required) for a in names)
        flags = DEPRECATED * s.deprecated | FUNCTION * (s.has_function or s.has_context_dependent_function)
        flags |= ANY_ATTRIBUTE * takes_any_attribute(s)
        rows.append((ops.at[s.name], DOMAINS.index(s.domain), s.since_version, flags, forbidden_outputs(s),
                     len(s.inputs), len(s.outputs), len(names), s.min_input, min(s.max_input, ANY_NUMBER), s.min_output,
                     min(s.max_output, ANY_NUMBER), inputs, outputs, listed, lists.run(order.values())))
    assert all(v < 256 for row in rows for v in row[1:12]) and len(sets) < 256 and len(lists.items) < 65536
    newest = [max(s.since_version for s in schemas if s.domain == d) for d in DOMAINS]
    newest[0] = defs.onnx_opset_version()
    with open(sys.argv[1], "w") as f:
        put = lambda *lines: print(*lines, sep="\n", file=f)

        def array(head, items, width=112):
            put(f"{head} = {{")
            line = "   "
            for item in items:
                text = "{ " + ", ".join(map(str, item)) + " }" if isinstance(item, tuple) else str(item)
                if len(line) + len(text) > width:
                    put(line)
                    line = "   "
                line += f" {text},"
            put(line, "};")

        put(f"/* Made by benchmarks/make_schema_table.py from ONNX {onnx.__version__}; see schema.c for what the numbers are. */")
        for name, text in ("operator", ops), ("attribute", attribute_names), ("formal", formal_names):
            put(f"static const char {name}_names[] =", *text.lines[:-1], text.lines[-1] + ";")
        put("static const uint8_t newest_versions[] = { " + ", ".join(map(str, newest)) + " };")
        array("static const ot_type_set type_sets[]", [tuple(map(hex, t)) for t in sets])
        array("static const uint8_t type_lists[]", lists.items)
        array("static const formal_row formal_rows[]", formals.items)
        array("static const attribute_row attribute_rows[]", attributes.items)
        array("static const schema_row schema_rows[]", rows)
    print(f"{len(rows)} schemas, {len(sets)} sets of types, {len(formals.items)} formals, {len(attributes.items)} attributes")


main()
