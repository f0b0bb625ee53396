/* The value of a TensorProto, from each of the ways in which ONNX may write it. */
#include "model/model.h"
#include "base/tensor.h"

#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data is little-endian; this code reads it in place"
#endif

/* Which value fields of a TensorProto are there; raw and external stand beside the typed lists. */
enum { RAW = 1, EXTERNAL = 2, FLOATS = 4, INTS = 8, LONGS = 16, DOUBLES = 32, ULONGS = 64, STRINGS = 128 };

static int fields_of(const ot_model *m, const Onnx__TensorProto *t)
{
    return (t->has_raw_data || ot_model_payload(m, t) ? RAW : 0) | (t->data_location == 1 ? EXTERNAL : 0) |
           (t->n_float_data ? FLOATS : 0) | (t->n_int32_data ? INTS : 0) | (t->n_int64_data ? LONGS : 0) |
           (t->n_double_data ? DOUBLES : 0) | (t->n_uint64_data ? ULONGS : 0) | (t->n_string_data ? STRINGS : 0);
}

/* The typed list that holds elements of this type. */
static int list_of(ot_dtype dtype)
{
    switch (dtype) {
    case OT_FLOAT:
    case OT_COMPLEX64:
        return FLOATS;
    case OT_DOUBLE:
    case OT_COMPLEX128:
        return DOUBLES;
    case OT_INT64:
        return LONGS;
    case OT_UINT32:
    case OT_UINT64:
        return ULONGS;
    case OT_STRING:
        return STRINGS;
    default:
        return INTS;
    }
}

/* Element type, rank and dims, checked; no data yet. */
static ot_status head(ot_tensor *view, const Onnx__TensorProto *t)
{
    *view = (ot_tensor){ 0 };
    if (!t->has_data_type || t->data_type == OT_UNDEFINED)
        return ot_fail(OT_EMODEL, "no element type");
    if (t->data_type < 0 || t->data_type > OT_INT2)
        return ot_fail(OT_EUNSUPPORTED, "element type %d is not known", (int)t->data_type);
    if (t->n_dims > OT_MAX_RANK)
        return ot_fail(OT_EMODEL, "rank %zu is over %d", t->n_dims, OT_MAX_RANK);
    if (t->segment)
        return ot_fail(OT_EUNSUPPORTED, "the tensor is one segment of a larger one");
    view->dtype = (ot_dtype)t->data_type;
    view->rank = (int)t->n_dims;
    for (size_t i = 0; i < t->n_dims; i++)
        view->dim[i] = t->dims[i];
    size_t bytes;
    return ot_bytes(&bytes, view->dtype, view->rank, view->dim) == OT_OK ? OT_OK : ot_context(OT_EMODEL, "dims");
}

static bool bools_are_clean(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] > 1)
            return false;
    return true;
}

/* A view of raw bytes where they can be used in place, else a copy. */
static ot_status from_bytes(ot_tensor *view, bool *owned, const uint8_t *bytes, size_t n)
{
    size_t want = ot_tensor_bytes(view), align = ot_dtype_size(view->dtype);
    if (view->dtype == OT_STRING)
        return ot_fail(OT_EMODEL, "strings cannot be raw data");
    if (n != want)
        return ot_fail(OT_EMODEL, "%zu bytes of data, but %s of %s takes %zu", n, OT_DIMS(view->rank, view->dim),
                       ot_dtype_name(view->dtype), want);
    if (view->dtype == OT_COMPLEX64 || view->dtype == OT_COMPLEX128)
        align /= 2;
    bool clean = view->dtype != OT_BOOL || bools_are_clean(bytes, n);
    if (clean && n && (align < 2 || (uintptr_t)bytes % align == 0)) {
        union {
            const uint8_t *in;
            void *out;
        } p = { bytes }; /* a view of a tensor that nobody writes */
        view->data = p.out;
        return OT_OK;
    }
    ot_tensor copy;
    OT_TRY(ot_tensor_init(&copy, view->dtype, view->rank, view->dim));
    if (n)
        memcpy(copy.data, bytes, n);
    for (size_t i = 0; !clean && i < n; i++)
        ((uint8_t *)copy.data)[i] = bytes[i] != 0;
    *view = copy;
    *owned = true;
    return OT_OK;
}

/* int32_data holds every integer type up to 32 bits, bool and small floats as their bits: one entry an element, but one
 * entry a byte for types under 8 bits. */
static ot_status from_ints(ot_tensor *y, const Onnx__TensorProto *t)
{
    int bits = ot_dtype_bits(y->dtype) < 8 ? 8 : ot_dtype_bits(y->dtype);
    int64_t lo = -(INT64_C(1) << (bits - 1)), hi = (INT64_C(1) << bits) - 1;
    for (size_t i = 0; i < t->n_int32_data; i++) {
        int32_t v = t->int32_data[i];
        if (v < lo || v > hi)
            return ot_fail(OT_EMODEL, "int32_data[%zu] is %d, which is no %s", i, (int)v, ot_dtype_name(y->dtype));
        if (y->dtype == OT_BOOL)
            ((uint8_t *)y->data)[i] = v != 0;
        else if (bits == 8)
            ((uint8_t *)y->data)[i] = (uint8_t)v;
        else if (bits == 16)
            ((uint16_t *)y->data)[i] = (uint16_t)v;
        else
            ((int32_t *)y->data)[i] = v;
    }
    return OT_OK;
}

static ot_status from_strings(ot_tensor *y, const Onnx__TensorProto *t)
{
    ot_str *s = y->data;
    for (size_t i = 0; i < t->n_string_data; i++) {
        const ProtobufCBinaryData *b = &t->string_data[i];
        char *p = ot_malloc(b->len + 1, 1);
        if (!p)
            return OT_ENOMEM;
        if (b->len)
            memcpy(p, b->data, b->len);
        p[b->len] = 0;
        s[i] = (ot_str){ p, b->len };
    }
    return OT_OK;
}

static ot_status from_ulongs(ot_tensor *y, const Onnx__TensorProto *t)
{
    for (size_t i = 0; i < t->n_uint64_data; i++) {
        uint64_t v = t->uint64_data[i];
        if (y->dtype == OT_UINT64)
            ((uint64_t *)y->data)[i] = v;
        else if (v > UINT32_MAX)
            return ot_fail(OT_EMODEL, "uint64_data[%zu] is %llu, which is no uint32", i, (unsigned long long)v);
        else
            ((uint32_t *)y->data)[i] = (uint32_t)v;
    }
    return OT_OK;
}

static ot_status fill(ot_tensor *y, int list, const Onnx__TensorProto *t)
{
    switch (list) {
    case FLOATS:
        memcpy(y->data, t->float_data, t->n_float_data * sizeof(float));
        return OT_OK;
    case DOUBLES:
        memcpy(y->data, t->double_data, t->n_double_data * sizeof(double));
        return OT_OK;
    case LONGS:
        memcpy(y->data, t->int64_data, t->n_int64_data * sizeof(int64_t));
        return OT_OK;
    case ULONGS:
        return from_ulongs(y, t);
    case STRINGS:
        return from_strings(y, t);
    default:
        return from_ints(y, t);
    }
}

/* Entries that the typed list must have. */
static size_t entries(const ot_tensor *y)
{
    if (y->dtype == OT_COMPLEX64 || y->dtype == OT_COMPLEX128)
        return 2 * (size_t)ot_tensor_count(y);
    return ot_dtype_bits(y->dtype) < 8 && y->dtype != OT_STRING ? ot_tensor_bytes(y) : (size_t)ot_tensor_count(y);
}

static ot_status from_list(ot_tensor *view, bool *owned, int list, const Onnx__TensorProto *t)
{
    size_t n = list == FLOATS    ? t->n_float_data
               : list == INTS    ? t->n_int32_data
               : list == LONGS   ? t->n_int64_data
               : list == DOUBLES ? t->n_double_data
               : list == ULONGS  ? t->n_uint64_data
                                 : t->n_string_data;
    if (n != entries(view))
        return ot_fail(OT_EMODEL, "%zu values, but %s of %s takes %zu", n, OT_DIMS(view->rank, view->dim),
                       ot_dtype_name(view->dtype), entries(view));
    ot_tensor copy;
    OT_TRY(ot_tensor_init(&copy, view->dtype, view->rank, view->dim));
    ot_status st = n ? fill(&copy, list, t) : OT_OK;
    if (st != OT_OK) {
        ot_tensor_release(&copy);
        return st;
    }
    *view = copy;
    *owned = true;
    return OT_OK;
}

static ot_status value(const ot_model *m, const Onnx__TensorProto *t, ot_tensor *view, bool *owned)
{
    OT_TRY(head(view, t));
    int fields = fields_of(m, t), list = list_of(view->dtype);
    if (fields & (fields - 1))
        return ot_fail(OT_EMODEL, "the value is given in more than one field");
    if (fields == 0)
        return from_list(view, owned, list, t); /* right for no elements, else an error with the counts */
    if (fields & EXTERNAL) {
        ot_payload p;
        OT_TRY(ot_external_find(m, t, &p));
        return from_bytes(view, owned, ot_blob_bytes(p.blob) + p.offset, p.n);
    }
    if (fields & RAW) {
        const ot_payload *p = ot_model_payload(m, t);
        return p ? from_bytes(view, owned, ot_blob_bytes(p->blob) + p->offset, p->n)
                 : from_bytes(view, owned, t->raw_data.data, t->raw_data.len);
    }
    if (fields != list)
        return ot_fail(OT_EMODEL, "the value of a %s tensor is in a field for another type",
                       ot_dtype_name(view->dtype));
    return from_list(view, owned, list, t);
}

ot_status ot_model_tensor(const ot_model *m, const Onnx__TensorProto *t, ot_tensor *view, bool *owned)
{
    *owned = false;
    ot_status st = value(m, t, view, owned);
    if (st == OT_OK)
        return OT_OK;
    *view = (ot_tensor){ 0 };
    *owned = false;
    return ot_context(st, "tensor '%s'", ot_text(t->name));
}
