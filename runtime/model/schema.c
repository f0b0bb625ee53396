/* The table lies in schema_table.inc, which benchmarks/make_schema_table.py writes: rows sorted by domain, name and
 * version; names are offsets into literals of names, lists are offsets into pools that rows share. */
#include "model/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ROW_DEPRECATED = 1, ROW_FUNCTION = 2, ROW_ANY_ATTRIBUTE = 4 }; /* schema_row.flags */
enum { FORMAL_OPTION = 3, FORMAL_MIXED = 4 };                         /* formal_row.option */
#define ANY_NUMBER 255

typedef struct formal_row {
    uint16_t name;
    uint8_t variable; /* place in the schema's list of types */
    uint8_t option;
} formal_row;

typedef struct attribute_row {
    uint16_t name;
    uint8_t type;     /* AttributeProto.AttributeType */
    uint8_t required; /* 0, 1 */
} attribute_row;

typedef struct schema_row {
    uint16_t name;
    uint8_t domain, since, flags;
    uint8_t forbidden; /* bit n: n outputs are not allowed */
    uint8_t n_in, n_out, n_attr;
    uint8_t min_in, max_in, min_out, max_out;
    uint16_t in, out, attr; /* of formal_rows, attribute_rows */
    uint16_t types;         /* of type_lists, whose entries are places in type_sets */
} schema_row;

#include "model/schema_table.inc"

static const char *const domains[] = { "", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training" };
#define N_DOMAINS ((int)(sizeof(domains) / sizeof(domains[0])))
#define N_ROWS    (sizeof(schema_rows) / sizeof(schema_rows[0]))

static int domain_index(const char *domain)
{
    for (int i = 0; i < N_DOMAINS; i++)
        if (ot_same_domain(domains[i], domain))
            return i;
    return -1;
}

bool ot_schema_domain(const char *domain)
{
    return domain_index(domain) >= 0;
}

int ot_schema_newest(const char *domain)
{
    int i = domain_index(domain);
    return i < 0 ? 0 : newest_versions[i];
}

/* Sorted before (domain, name, opset), at most at it. */
static bool not_after(const schema_row *r, int domain, const char *name, int64_t opset)
{
    int order = r->domain != domain ? (r->domain < domain ? -1 : 1) : strcmp(operator_names + r->name, name);
    return order != 0 ? order < 0 : r->since <= opset;
}

static int most(uint8_t n)
{
    return n == ANY_NUMBER ? INT32_MAX : n;
}

bool ot_schema_find(ot_schema *out, const char *domain, const char *name, int64_t opset)
{
    int d = domain_index(domain);
    size_t low = 0, high = N_ROWS; /* rows below low are not after, those from high on are */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (not_after(&schema_rows[mid], d, name, opset))
            low = mid + 1;
        else
            high = mid;
    }
    if (d < 0 || low == 0)
        return false;
    const schema_row *r = &schema_rows[low - 1];
    if (r->domain != d || strcmp(operator_names + r->name, name) != 0)
        return false;
    *out = (ot_schema){ .domain = domains[d],
                        .name = operator_names + r->name,
                        .since = r->since,
                        .deprecated = r->flags & ROW_DEPRECATED,
                        .function = r->flags & ROW_FUNCTION,
                        .any_attribute = r->flags & ROW_ANY_ATTRIBUTE,
                        .n_in = r->n_in,
                        .n_out = r->n_out,
                        .n_attr = r->n_attr,
                        .min_in = r->min_in,
                        .max_in = most(r->max_in),
                        .min_out = r->min_out,
                        .max_out = most(r->max_out),
                        .row = r };
    return true;
}

/* n > 0 formals from `first` on. */
static ot_formal formal(const schema_row *r, int first, int n, int i)
{
    const formal_row *f = &formal_rows[first + (i < n ? i : n - 1)];
    return (ot_formal){ .name = formal_names + f->name,
                        .option = f->option & FORMAL_OPTION,
                        .mixed = f->option & FORMAL_MIXED,
                        .variable = f->variable,
                        .types = &type_sets[type_lists[r->types + f->variable]] };
}

ot_formal ot_schema_input(const ot_schema *s, int i)
{
    return formal(s->row, s->row->in, s->n_in, i);
}

ot_formal ot_schema_output(const ot_schema *s, int i)
{
    return formal(s->row, s->row->out, s->n_out, i);
}

ot_schema_attr ot_schema_attribute(const ot_schema *s, int i)
{
    const attribute_row *a = &attribute_rows[s->row->attr + i];
    return (ot_schema_attr){ attribute_names + a->name, (Onnx__AttributeProto__AttributeType)a->type, a->required };
}

bool ot_schema_find_attribute(ot_schema_attr *out, const ot_schema *s, const char *name)
{
    for (int i = 0; i < s->n_attr; i++) {
        *out = ot_schema_attribute(s, i);
        if (strcmp(out->name, name) == 0)
            return true;
    }
    return false;
}

bool ot_schema_outputs_allowed(const ot_schema *s, size_t n)
{
    return n >= (size_t)s->min_out && n <= (size_t)s->max_out && (n > 7 || !(s->row->forbidden >> n & 1));
}

const char *ot_attr_type_name(int type)
{
    static const char *const names[] = {
        "?",       "FLOAT",   "INT",    "STRING",        "TENSOR",         "GRAPH",      "FLOATS",     "INTS",
        "STRINGS", "TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"
    };
    return type > 0 && type < (int)(sizeof(names) / sizeof(names[0])) ? names[type] : "?";
}

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

typedef struct teller {
    const ot_schema *s;
    ot_schema_tell *tell;
    void *ctx;
} teller;

static void say(const teller *t, const char *fmt, ...) OT_PRINTF(2, 3);

static void say(const teller *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->tell(t->ctx, text);
}

/* "2", "1 to 3", "at least 1" */
static void range_text(char *out, size_t n, int low, int high)
{
    if (low == high)
        snprintf(out, n, "%d", low);
    else if (high == INT32_MAX)
        snprintf(out, n, "at least %d", low);
    else
        snprintf(out, n, "%d to %d", low, high);
}

static void check_inputs(const teller *t, const Onnx__NodeProto *n)
{
    const ot_schema *s = t->s;
    char range[40];
    range_text(range, sizeof(range), s->min_in, s->max_in);
    if (n->n_input < (size_t)s->min_in || n->n_input > (size_t)s->max_in)
        say(t, "%zu inputs, %s-%d takes %s", n->n_input, s->name, s->since, range);
    for (size_t i = 0; i < n->n_input && i < (size_t)s->n_in; i++)
        if (!*ot_text(n->input[i]) && ot_schema_input(s, (int)i).option == OT_FORMAL_SINGLE)
            say(t, "input %zu (%s) is left out, but %s-%d needs it", i, ot_schema_input(s, (int)i).name, s->name,
                s->since);
}

static void check_outputs(const teller *t, const Onnx__NodeProto *n)
{
    const ot_schema *s = t->s;
    char range[40];
    range_text(range, sizeof(range), s->min_out, s->max_out);
    if (!ot_schema_outputs_allowed(s, n->n_output))
        say(t, "%zu outputs, %s-%d has %s%s", n->n_output, s->name, s->since, range,
            s->row->forbidden ? ", and not every number of them" : "");
    for (size_t i = 0; i < n->n_output && i < (size_t)s->n_out; i++)
        if (!*ot_text(n->output[i]) && ot_schema_output(s, (int)i).option == OT_FORMAL_SINGLE)
            say(t, "output %zu (%s) has no name, but %s-%d always makes it", i, ot_schema_output(s, (int)i).name,
                s->name, s->since);
}

static bool has_value(const Onnx__AttributeProto *a)
{
    switch (a->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        return a->t;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
        return a->g;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
        return a->sparse_tensor;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO:
        return a->tp;
    default:
        return true; /* an absent number is 0, an absent list is empty */
    }
}

/* Names with two underscores in front are a tool's own. */
static void check_attribute(const teller *t, const Onnx__AttributeProto *a)
{
    const char *name = ot_text(a->name);
    ot_schema_attr want;
    if (!ot_schema_find_attribute(&want, t->s, name)) {
        if (!t->s->any_attribute && strncmp(name, "__", 2) != 0)
            say(t, "%s-%d has no attribute '%.100s'", t->s->name, t->s->since, name);
    } else if (a->type != (int)want.type) {
        say(t, "attribute '%s' is %s, %s-%d takes %s", name, ot_attr_type_name(a->type), t->s->name, t->s->since,
            ot_attr_type_name(want.type));
    } else if (!*ot_text(a->ref_attr_name) && !has_value(a)) {
        say(t, "attribute '%s' is %s, but holds none", name, ot_attr_type_name(a->type));
    }
}

static bool gives(const Onnx__NodeProto *n, const char *name)
{
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(ot_text(n->attribute[i]->name), name) == 0)
            return true;
    return false;
}

void ot_schema_check_node(const ot_schema *s, const Onnx__NodeProto *n, ot_schema_tell *tell, void *ctx)
{
    teller t = { s, tell, ctx };
    if (s->deprecated) {
        say(&t, "%s is deprecated since version %d of its operator set", s->name, s->since);
        return;
    }
    check_inputs(&t, n);
    check_outputs(&t, n);
    for (size_t i = 0; i < n->n_attribute; i++)
        check_attribute(&t, n->attribute[i]);
    for (int i = 0; i < s->n_attr; i++) {
        ot_schema_attr a = ot_schema_attribute(s, i);
        if (a.required && !gives(n, a.name))
            say(&t, "%s-%d needs the attribute '%s'", s->name, s->since, a.name);
    }
}
