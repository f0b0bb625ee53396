#include "mutate_parts.h"

#include "base/tensor.h"
#include "model/schema.h"
#include "op.h"

#include <math.h>
#include <string.h>

uint64_t mutate_bits(mutate_rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t mutate_below(mutate_rng *r, int64_t n)
{
    return (int64_t)(mutate_bits(r) % (uint64_t)n);
}

int64_t mutate_number(mutate_rng *r)
{
    static const int64_t nasty[] = { 0,         -1,        -2,        1,         7,         255,       256,
                                     257,       65535,     65536,     1 << 20,   INT32_MAX, INT32_MIN, 1LL << 31,
                                     1LL << 32, 1LL << 40, 1LL << 61, 1LL << 62, INT64_MAX, INT64_MIN, INT64_MIN + 1,
                                     -1000,     -(1 << 20) };
    if (one_in(r, 5))
        return nasty[mutate_below(r, (int64_t)(sizeof(nasty) / sizeof(nasty[0])))];
    return one_in(r, 3) ? mutate_below(r, 9) - 4 : mutate_below(r, 4);
}

void mutate_fill(ot_tensor *t, mutate_rng *r)
{
    int64_t n = ot_tensor_count(t);
    bool wild = one_in(r, 6);
    for (int64_t i = 0; i < n && t->dtype != OT_STRING; i++) {
        double v = (double)mutate_below(r, 2001) / 500 - 2;
        if (t->dtype == OT_BOOL)
            v = (double)mutate_below(r, 2);
        else if (ot_dtype_is_int(t->dtype))
            v = wild ? (double)mutate_number(r) : (double)mutate_below(r, 4);
        else if (wild && one_in(r, 4))
            v = (double[]){ NAN, HUGE_VAL, -HUGE_VAL, 1e30, -1e30, 1e-40, 0 }[mutate_below(r, 7)];
        ot_tensor_set(t, i, v);
    }
}

ot_dtype mutate_dtype(mutate_rng *r)
{
    if (one_in(r, 10))
        return (ot_dtype)(1 + mutate_below(r, 26));
    static const ot_dtype usual[] = { OT_FLOAT, OT_FLOAT, OT_FLOAT,   OT_FLOAT,    OT_FLOAT, OT_INT64,
                                      OT_INT64, OT_INT32, OT_FLOAT16, OT_BFLOAT16, OT_BOOL,  OT_DOUBLE };
    return usual[mutate_below(r, (int64_t)(sizeof(usual) / sizeof(usual[0])))];
}

int mutate_dims(mutate_rng *r, int64_t *dim, int rank)
{
    static const int64_t pool[] = { 1, 2, 2, 3, 3, 4, 5, 0, 17 };
    if (rank < 0)
        rank = one_in(r, 20) ? (int)mutate_below(r, OT_MAX_RANK + 1) : (int)mutate_below(r, 5);
    for (int i = 0; i < rank; i++)
        dim[i] = rank > 5 ? 1 + mutate_below(r, 2) : pool[mutate_below(r, one_in(r, 4) ? 9 : 7)];
    return rank;
}

/* ---- Attributes ---------------------------------------------------------------------------------------------- */

static const char *const attr_names[] = {
    "axis",          "axes",
    "kernel_shape",  "pads",
    "strides",       "dilations",
    "group",         "auto_pad",
    "ceil_mode",     "keepdims",
    "perm",          "alpha",
    "beta",          "epsilon",
    "momentum",      "to",
    "transA",        "transB",
    "mode",          "count_include_pad",
    "storage_order", "shape",
    "starts",        "ends",
    "split",         "num_outputs",
    "value",         "value_ints",
    "value_int",     "value_float",
    "value_floats",  "largest",
    "min",           "max",
    "ratio",         "seed",
    "is_test",       "training_mode",
    "spatial",       "consumed_inputs",
    "output_shape",  "output_padding",
    "size",          "bias",
    "gamma",         "lambd",
    "broadcast",     "reduction",
    "ignore_index",  "select_last_index",
    "exclusive",     "reverse",
    "fmod",          "noop_with_empty_axes",
    "allowzero",     "start",
    "end",           "batch_dims",
    "approximate",   "saturate",
    "stash_type",    "lambda",
    "offset",        "sum",
    "paddings",      "detect_negative",
};
static const char *const attr_texts[] = {
    "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "constant", "reflect", "edge",
    "wrap",   "mean",       "sum",        "none",  "tanh",     "",        "\n\x01"
};
/* What further operators take. */
static const char *const more_texts[] = {
    "nearest",
    "linear",
    "cubic",
    "half_pixel",
    "asymmetric",
    "align_corners",
    "round_prefer_floor",
    "tf_crop_and_resize",
    "stretch",
    "not_larger",
    "zeros",
    "border",
    "reflection",
    "bilinear",
    "bicubic",
    "forward",
    "reverse",
    "bidirectional",
    "avg",
    "max",
    "min",
    "mul",
    "add",
    "DCR",
    "CRD",
    "output_half_pixel",
    "ij,jk->ik",
    "...ii->...i",
    "i,i->",
    "LEFT",
    "RIGHT",
    "Relu",
    "Affine",
    "Sigmoid",
    "up",
};

static ot_status set_tensor_attr(ot_model *m, Onnx__NodeProto *n, const char *name, mutate_rng *r)
{
    int64_t dim[OT_MAX_RANK];
    ot_tensor *t;
    int rank = mutate_dims(r, dim, one_in(r, 2) ? (int)mutate_below(r, 2) : -1);
    OT_TRY(ot_tensor_create(&t, mutate_dtype(r), rank, dim));
    mutate_fill(t, r);
    ot_status st = ot_node_set_tensor(m, n, name, t);
    ot_tensor_free(t);
    return st;
}

#define SOME(r, list) (list)[mutate_below(r, (int64_t)(sizeof(list) / sizeof((list)[0])))]

/* An attribute that the node's operator has, of its own type. */
static ot_status own_attr(ot_model *m, Onnx__NodeProto *n, mutate_rng *r)
{
    ot_schema s;
    int64_t list[8];
    if (!ot_schema_find(&s, ot_text(n->domain), ot_text(n->op_type), OT_LATEST) || !s.n_attr)
        return OT_OK;
    ot_schema_attr a = ot_schema_attribute(&s, (int)mutate_below(r, s.n_attr));
    switch (a.type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        return ot_node_set_int(n, a.name, one_in(r, 4) ? mutate_number(r) : mutate_below(r, 4));
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        return ot_node_set_float(n, a.name, ((float[]){ 0, 1, -1, .5f, NAN, HUGE_VALF, 1e30f })[mutate_below(r, 7)]);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return ot_node_set_string(n, a.name, one_in(r, 2) ? SOME(r, attr_texts) : SOME(r, more_texts));
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        return set_tensor_attr(m, n, a.name, r);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        for (int i = 0; i < 8; i++)
            list[i] = one_in(r, 8) ? mutate_number(r) : mutate_below(r, 4);
        return ot_node_set_ints(n, a.name, (int)mutate_below(r, 7), list);
    default:
        return OT_OK;
    }
}

ot_status mutate_attr(ot_model *m, Onnx__NodeProto *n, mutate_rng *r)
{
    if (one_in(r, 2))
        return own_attr(m, n, r);
    int64_t list[40];
    const char *name = SOME(r, attr_names);
    if (n->n_attribute && one_in(r, 2))
        name = ot_text(n->attribute[mutate_below(r, (int64_t)n->n_attribute)]->name);
    static const char *const lists[] = { "axes",         "kernel_shape",   "pads",      "strides", "dilations",
                                         "perm",         "shape",          "starts",    "ends",    "split",
                                         "output_shape", "output_padding", "value_ints" };
    int kind = (int)mutate_below(r, 6);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strcmp(name, lists[i]) == 0 && !one_in(r, 10))
            kind = 3;
    if (strcmp(name, "auto_pad") == 0 || strcmp(name, "mode") == 0 || strcmp(name, "reduction") == 0)
        kind = 2;
    switch (kind) {
    case 0:
        return ot_node_set_int(n, name, mutate_number(r));
    case 1:
        return ot_node_set_float(n, name,
                                 (float[]){ 0, -1, NAN, HUGE_VALF, -HUGE_VALF, .5f, 1e30f }[mutate_below(r, 7)]);
    case 2:
        return ot_node_set_string(n, name, SOME(r, attr_texts));
    case 3: {
        int count = one_in(r, 12) ? (int)mutate_below(r, 40) : (int)mutate_below(r, 5);
        bool wild = one_in(r, 3);
        for (int i = 0; i < count; i++)
            list[i] = wild ? mutate_number(r) : 1 + mutate_below(r, 3);
        return ot_node_set_ints(n, name, count, list);
    }
    case 4:
        return set_tensor_attr(m, n, name, r);
    default:
        return ot_node_set_int(n, name, mutate_below(r, 3));
    }
}
