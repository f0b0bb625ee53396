#include "op_table.h"
#include "model/schema.h"
#include "op_rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPS       1024
#define MAX_VARIABLES 8

typedef struct seen_op {
    bool forward, gradient;
    uint32_t types[MAX_VARIABLES]; /* of the schema's type variables: bit t is set when a row was planned with type t */
} seen_op;

static seen_op seen[MAX_OPS]; /* in the order of the registry */

static seen_op *seen_of(const ot_op *op)
{
    int n;
    const ot_op *const *all = ot_all_ops(&n);
    for (int i = 0; i < n && i < MAX_OPS; i++)
        if (all[i] == op)
            return &seen[i];
    return NULL;
}

static int newest_opset(const ot_op *op)
{
    return op->until < OT_LATEST ? op->until : OT_LATEST;
}

static bool schema_of(ot_schema *out, const ot_op *op)
{
    return strcmp(op->domain, OT_INTERNAL) != 0 && ot_schema_find(out, op->domain, op->name, newest_opset(op));
}

/* ---- Notes ---------------------------------------------------------------------------------------------------- */

/* Can the row be planned with all inputs of this type variable having this type? */
static bool planned_with(const op_case *row, const ot_schema *s, int variable, ot_dtype t)
{
    op_rig r;
    op_case other = *row;
    for (int i = 0; i < OP_MAX_IN && other.in[i].dtype != OT_UNDEFINED; i++)
        if (s->n_in && ot_schema_input(s, i).variable == variable)
            other.in[i].dtype = t;
    ot_status st = op_rig_open(&r, &other, OT_FLOAT, 1, false, false);
    if (st == OT_OK)
        st = op_rig_outputs(&r);
    if (st == OT_OK)
        st = op_rig_start(&r);
    op_rig_close(&r);
    return st == OT_OK;
}

static void note_types(const op_case *row, const ot_op *op, int opset, seen_op *s)
{
    ot_schema now, then;
    if (!schema_of(&now, op) || !ot_schema_find(&then, op->domain, op->name, opset) || then.since != now.since)
        return;
    for (int i = 0; i < OP_MAX_IN && i < now.max_in; i++) {
        if (row->in[i].dtype == OT_UNDEFINED)
            continue;
        ot_formal f = ot_schema_input(&now, i);
        for (int t = OT_FLOAT; t <= OT_INT2 && f.variable < MAX_VARIABLES; t++)
            if (f.types->tensor >> t & 1 && !(s->types[f.variable] >> t & 1) &&
                planned_with(row, &now, f.variable, (ot_dtype)t))
                s->types[f.variable] |= 1u << t;
    }
}

void op_table_note_row(const op_case *row)
{
    int opset;
    const ot_op *op;
    seen_op *s = op_row_operator(&op, &opset, row) == OT_OK ? seen_of(op) : NULL;
    if (!s)
        return;
    s->forward = true;
    for (int i = 0; i < OP_MAX_IN; i++)
        s->gradient |= row->in[i].dtype == OT_FLOAT && row->in[i].grad;
    note_types(row, op, opset, s);
}

void op_table_note_graph(const ot_graph *g)
{
    for (int i = 0; i < g->n_node; i++) {
        seen_op *s = strcmp(g->node[i]->op->domain, OT_INTERNAL) == 0 ? seen_of(g->node[i]->op) : NULL;
        if (s)
            s->forward = true;
    }
}

void op_table_note(const char *domain, const char *name, int opset, bool gradient)
{
    const ot_op *op;
    seen_op *s = ot_find_op(&op, domain, name, opset) == OT_OK ? seen_of(op) : NULL;
    if (!CHECK(s))
        return;
    s->forward = true;
    s->gradient |= gradient;
}

/* ---- The document --------------------------------------------------------------------------------------------- */

typedef struct text {
    char bytes[1 << 18];
    size_t n;
} text;

static void put(text *t, const char *fmt, ...) OT_PRINTF(2, 3);

static void put(text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->bytes + t->n, sizeof(t->bytes) - t->n, fmt, ap);
    va_end(ap);
    if (CHECK(n >= 0 && (size_t)n < sizeof(t->bytes) - t->n))
        t->n += (size_t)n;
}

#define BIT(t) (1u << (t))

static const struct {
    const char *name;
    uint32_t types;
} groups[] = {
    { "floats", BIT(OT_FLOAT16) | BIT(OT_BFLOAT16) | BIT(OT_FLOAT) | BIT(OT_DOUBLE) },
    { "ints", BIT(OT_INT8) | BIT(OT_INT16) | BIT(OT_INT32) | BIT(OT_INT64) },
    { "uints", BIT(OT_UINT8) | BIT(OT_UINT16) | BIT(OT_UINT32) | BIT(OT_UINT64) },
    { "complexes", BIT(OT_COMPLEX64) | BIT(OT_COMPLEX128) },
    { "float8s", BIT(OT_FLOAT8E4M3FN) | BIT(OT_FLOAT8E4M3FNUZ) | BIT(OT_FLOAT8E5M2) | BIT(OT_FLOAT8E5M2FNUZ) },
    { "packed", BIT(OT_INT4) | BIT(OT_UINT4) | BIT(OT_INT2) | BIT(OT_UINT2) | BIT(OT_FLOAT4E2M1) },
};

static void put_types(text *t, uint32_t types)
{
    const char *between = "";
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        if ((types & groups[g].types) == groups[g].types) {
            put(t, "%s%s", between, groups[g].name);
            types &= ~groups[g].types;
            between = " ";
        }
    for (int i = OT_FLOAT; i <= OT_INT2; i++)
        if (types >> i & 1) {
            put(t, "%s%s", between, ot_dtype_name((ot_dtype)i));
            between = " ";
        }
}

/* Of each type variable of the inputs that leaves a choice: what is served, and what ONNX allows besides. */
static void put_element_types(text *t, const ot_op *op, const seen_op *s)
{
    ot_schema schema;
    uint32_t done = 0;
    const char *between = "";
    if (op->flow && !op->cpu) /* it hands elements on without a look */
        put(t, "any");
    if (!schema_of(&schema, op) || (op->flow && !op->cpu))
        return;
    for (int i = 0; i < schema.n_in; i++) {
        ot_formal f = ot_schema_input(&schema, i);
        uint32_t all = f.types->tensor & (BIT(OT_INT2 + 1) - 1);
        if (f.variable >= MAX_VARIABLES || done >> f.variable & 1 || !(all & (all - 1)))
            continue;
        done |= BIT(f.variable);
        put(t, "%s%s: ", between, f.name);
        between = "; ";
        if (!(all & ~s->types[f.variable]) && !(~all & (BIT(OT_INT2 + 1) - 2)))
            put(t, "all");
        else
            put_types(t, all & s->types[f.variable]);
        if (all & ~s->types[f.variable] && s->types[f.variable])
            put(t, " (not ");
        else if (all & ~s->types[f.variable])
            put(t, "(not ");
        if (all & ~s->types[f.variable]) {
            put_types(t, all & ~s->types[f.variable]);
            put(t, ")");
        }
    }
}

static void put_kernels(text *t, const ot_op *op)
{
    const char *between = "";
    for (const ot_kernel *k = op->cpu; k && k->name; k++, between = ", ")
        put(t, "%s%s", between, k->name);
    if (op->view) {
        put(t, "%sview", between);
        between = ", ";
    }
    if (op->flow) {
        put(t, "%sflow", between);
        between = ", ";
    }
    if (op->compose)
        put(t, "%scomposite", between);
}

static const char *gradient_of(const ot_op *op)
{
    if (op->grad)
        return op->grad == ot_grad_none ? "zero" : "yes";
    return op->compose ? "composed" : "none";
}

static void put_table(text *t, bool internal)
{
    int n;
    const ot_op *const *all = ot_all_ops(&n);
    for (int i = 0; i < n; i++) {
        const ot_op *op = all[i];
        if ((strcmp(op->domain, OT_INTERNAL) == 0) != internal)
            continue;
        put(t, "| %s |", op->name);
        if (!internal) {
            put(t, " %s | %d to %d | ", op->domain, op->since, newest_opset(op));
            put_element_types(t, op, &seen[i]);
            put(t, " |");
        }
        put(t, " %s | ", gradient_of(op));
        put_kernels(t, op);
        put(t, " |\n");
    }
}

static void put_document(text *t)
{
    put(t,
        "# Operators\n\n"
        "Made from the registry and the rows that test it; do not edit. `ONNXTUNE_OPERATORS=docs/operators.md\n"
        "build/onnxtune-tests` writes it, and a run of all tests fails when it is not up to date.\n\n"
        "- **Opsets** are those of a model's nodes; older forms are rewritten into the newest when the graph is "
        "derived.\n"
        "- **Element types**: for each input that leaves a choice, the types for which a test row of the operator is\n"
        "  planned; after \"not\", those that ONNX allows besides. `floats` are float16, bfloat16, float, double; "
        "`ints`\n"
        "  and `uints` those of 8 to 64 bits; `float8s` the four of 8 bits with a mantissa; `packed` int4, uint4, "
        "int2,\n"
        "  uint2, float4e2m1.\n"
        "- **Gradient**: `yes`; `zero`, truly, for every input; `composed`: of the simpler operators that it is\n"
        "  expanded into; `none`: an error where it is needed.\n"
        "- **Kernels** in the order in which they are tried. `reference` is the loop in double that all others are "
        "tested\n"
        "  against; `view`: the output is the input's memory seen with other dims where that can be; `flow`: runs "
        "graphs\n"
        "  that the node holds, or moves values that are no tensors; `composite`: simpler operators take its place "
        "where\n"
        "  it has no kernels, or no gradient and one is needed.\n\n"
        "| operator | domain | opsets | element types | gradient | kernels |\n| --- | --- | --- | --- | --- | --- |\n");
    put_table(t, false);
    put(t, "\n## Internal\n\nThese are emitted by gradients, rewrites and fusion. Models cannot use them.\n\n"
           "| operator | gradient | kernels |\n| --- | --- | --- |\n");
    put_table(t, true);
}

static text *read_text(const char *path)
{
    text *t = calloc(1, sizeof(*t));
    FILE *f = fopen(path, "rb");
    if (t && f)
        t->n = fread(t->bytes, 1, sizeof(t->bytes) - 1, f);
    if (f)
        fclose(f);
    return t;
}

static void tell_first_difference(const char *a, const char *b)
{
    while (*a) {
        size_t n = strcspn(a, "\n") + 1, m = strcspn(b, "\n") + 1;
        if (n != m || strncmp(a, b, n) != 0) {
            printf("    wanted: %.*s\n    there:  %.*s\n", (int)n - 1, a, (int)m - 1, b);
            return;
        }
        a += n;
        b += m;
    }
}

static void document(void)
{
    if (!test_runs_everything()) {
        test_skip("not everything ran");
        return;
    }
    text *want = calloc(1, sizeof(*want)), *there = read_text(TEST_OPERATORS);
    const char *path = getenv("ONNXTUNE_OPERATORS");
    put_document(want);
    if (path)
        CHECK_OK(ot_file_write(path, want->bytes, want->n));
    else if (!CHECK(want->n == there->n && memcmp(want->bytes, there->bytes, want->n) == 0)) {
        tell_first_difference(want->bytes, there->bytes);
        printf("    docs/operators.md is to be made anew: ONNXTUNE_OPERATORS=docs/operators.md onnxtune-tests\n");
    }
    free(want);
    free(there);
}

/* ---- Every operator has rows ------------------------------------------------------------------------------------ */

/* Is there a gradient, and floating elements that go in and come out, so that it can be held against differences. */
static bool wants_gradient_row(const ot_op *op)
{
    ot_schema s;
    bool in = false, out = false;
    if (strcmp(gradient_of(op), "none") == 0)
        return false;
    if (!schema_of(&s, op))
        return op->grad != ot_grad_none;
    for (int i = 0; i < s.n_in; i++)
        in |= ot_schema_input(&s, i).types->tensor >> OT_FLOAT & 1;
    for (int i = 0; i < s.n_out; i++)
        out |= ot_schema_output(&s, i).types->tensor >> OT_FLOAT & 1;
    return in && out;
}

static void every_operator_has_rows(void)
{
    int n;
    const ot_op *const *all = ot_all_ops(&n);
    if (!test_runs_everything()) {
        test_skip("not everything ran");
        return;
    }
    CHECK(n <= MAX_OPS);
    for (int i = 0; i < n && i < MAX_OPS; i++) {
        const ot_op *op = all[i];
        if (!CHECK(seen[i].forward) || !CHECK(seen[i].gradient || !wants_gradient_row(op)))
            printf("    %s %s, opsets %d to %d: no row %s\n", op->domain, op->name, op->since, op->until,
                   seen[i].forward ? "has a gradient (OP_X)" : "runs it");
    }
}

const ot_test op_table_tests[] = { { "every operator has rows", every_operator_has_rows },
                                   { "document", document },
                                   { 0 } };
