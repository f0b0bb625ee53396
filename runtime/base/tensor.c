#include "base/tensor.h"
#include "base/half.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One row an element type, in the order of its number. */
static const struct {
    const char *name;
    int bits;
    char kind; /* f floating, i signed, u unsigned, b bool, c complex, s string */
} types[] = {
    { "undefined", 0, '?' },      { "float", 32, 'f' },       { "uint8", 8, 'u' },          { "int8", 8, 'i' },
    { "uint16", 16, 'u' },        { "int16", 16, 'i' },       { "int32", 32, 'i' },         { "int64", 64, 'i' },
    { "string", 0, 's' },         { "bool", 8, 'b' },         { "float16", 16, 'f' },       { "double", 64, 'f' },
    { "uint32", 32, 'u' },        { "uint64", 64, 'u' },      { "complex64", 64, 'c' },     { "complex128", 128, 'c' },
    { "bfloat16", 16, 'f' },      { "float8e4m3fn", 8, 'f' }, { "float8e4m3fnuz", 8, 'f' }, { "float8e5m2", 8, 'f' },
    { "float8e5m2fnuz", 8, 'f' }, { "uint4", 4, 'u' },        { "int4", 4, 'i' },           { "float4e2m1", 4, 'f' },
    { "float8e8m0", 8, 'f' },     { "uint2", 2, 'u' },        { "int2", 2, 'i' },
};
#define N_TYPES ((int)(sizeof(types) / sizeof(types[0])))

static int row(ot_dtype dtype)
{
    return (int)dtype > 0 && (int)dtype < N_TYPES ? (int)dtype : 0;
}

const char *ot_dtype_name(ot_dtype dtype)
{
    int r = row(dtype);
    return r ? types[r].name : "?";
}

int ot_dtype_bits(ot_dtype dtype)
{
    return types[row(dtype)].bits;
}

bool ot_dtype_is_float(ot_dtype dtype)
{
    return types[row(dtype)].kind == 'f';
}

bool ot_dtype_is_int(ot_dtype dtype)
{
    return types[row(dtype)].kind == 'i' || types[row(dtype)].kind == 'u';
}

size_t ot_dtype_size(ot_dtype dtype)
{
    return dtype == OT_STRING ? sizeof(ot_str) : (size_t)ot_dtype_bits(dtype) / 8;
}

const char *ot_dims_text(char *text, size_t n, int rank, const int64_t *dim)
{
    size_t at = (size_t)snprintf(text, n, "[");
    for (int i = 0; i < rank && at < n; i++) {
        const char *comma = i ? "," : "";
        int wrote = dim[i] < 0 ? snprintf(text + at, n - at, "%s?", comma)
                               : snprintf(text + at, n - at, "%s%lld", comma, (long long)dim[i]);
        at += (size_t)wrote;
    }
    if (at < n)
        snprintf(text + at, n - at, "]");
    return text;
}

bool ot_count(int64_t *out, int rank, const int64_t *dim)
{
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0)
            return false;
        empty |= dim[i] == 0;
        if (dim[i] && __builtin_mul_overflow(n, dim[i], &n))
            return false; /* of an empty tensor too: partial products are strides */
    }
    *out = empty ? 0 : n;
    return true;
}

ot_status ot_bytes(size_t *out, ot_dtype dtype, int rank, const int64_t *dim)
{
    int64_t n;
    size_t bits = dtype == OT_STRING ? 8 * sizeof(ot_str) : (size_t)ot_dtype_bits(dtype), total;
    if (!bits)
        return ot_fail(OT_EARG, "element type %d is not known", (int)dtype);
    if (rank < 0 || rank > OT_MAX_RANK)
        return ot_fail(OT_EARG, "rank %d is outside 0..%d", rank, OT_MAX_RANK);
    if (!ot_count(&n, rank, dim) || !ot_mul(&total, (size_t)n, bits) || total > PTRDIFF_MAX)
        return ot_fail(OT_EARG, "shape %s is out of range", OT_DIMS(rank, dim));
    *out = (total + 7) / 8;
    return OT_OK;
}

ot_status ot_tensor_init(ot_tensor *t, ot_dtype dtype, int rank, const int64_t *dim)
{
    size_t bytes;
    *t = (ot_tensor){ 0 };
    OT_TRY(ot_bytes(&bytes, dtype, rank, dim));
    void *data = ot_calloc(bytes, 1);
    if (!data)
        return OT_ENOMEM;
    t->dtype = dtype;
    t->rank = rank;
    if (rank)
        memcpy(t->dim, dim, (size_t)rank * sizeof(*dim));
    t->data = data;
    return OT_OK;
}

void ot_tensor_release(ot_tensor *t)
{
    if (t->dtype == OT_STRING && t->data) {
        ot_str *s = t->data;
        for (int64_t i = 0, n = ot_tensor_count(t); i < n; i++)
            ot_free((void *)s[i].bytes);
    }
    ot_free(t->data);
    *t = (ot_tensor){ 0 };
}

ot_status ot_tensor_create(ot_tensor **out, ot_dtype dtype, int rank, const int64_t *dim)
{
    *out = NULL;
    ot_tensor *t = ot_calloc(1, sizeof(*t));
    if (!t)
        return OT_ENOMEM;
    ot_status st = ot_tensor_init(t, dtype, rank, dim);
    if (st != OT_OK) {
        ot_free(t);
        return st;
    }
    *out = t;
    return OT_OK;
}

void ot_tensor_free(ot_tensor *t)
{
    if (!t)
        return;
    ot_tensor_release(t);
    ot_free(t);
}

int64_t ot_tensor_count(const ot_tensor *t)
{
    int64_t n = 0; /* dims beside a zero may be of any size: no plain product */
    ot_count(&n, t->rank, t->dim);
    return n;
}

size_t ot_tensor_bytes(const ot_tensor *t)
{
    size_t n = (size_t)ot_tensor_count(t);
    return t->dtype == OT_STRING ? n * sizeof(ot_str) : (n * (size_t)ot_dtype_bits(t->dtype) + 7) / 8;
}

unsigned ot_tensor_get_packed(const ot_tensor *t, int64_t i)
{
    const uint8_t *p = t->data;
    int bits = ot_dtype_bits(t->dtype), per = 8 / bits;
    return p[i / per] >> (int)(i % per) * bits & ((1u << bits) - 1);
}

double ot_tensor_get(const ot_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case OT_FLOAT:
        return ((const float *)t->data)[i];
    case OT_DOUBLE:
        return ((const double *)t->data)[i];
    case OT_COMPLEX64:
        return ((const float *)t->data)[2 * i];
    case OT_COMPLEX128:
        return ((const double *)t->data)[2 * i];
    case OT_FLOAT16:
        return (double)ot_f16_to_float(((const uint16_t *)t->data)[i]);
    case OT_BFLOAT16:
        return (double)ot_bf16_to_float(((const uint16_t *)t->data)[i]);
    case OT_FLOAT4E2M1:
        return ot_small_to_double(t->dtype, ot_tensor_get_packed(t, i));
    case OT_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    case OT_STRING:
    case OT_UNDEFINED:
        return (double)NAN;
    default:
        if (ot_dtype_is_float(t->dtype))
            return ot_small_to_double(t->dtype, ((const uint8_t *)t->data)[i]);
        return (double)ot_tensor_get_int(t, i);
    }
}

int64_t ot_tensor_get_int(const ot_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case OT_UINT8:
    case OT_BOOL:
        return ((const uint8_t *)t->data)[i];
    case OT_INT8:
        return ((const int8_t *)t->data)[i];
    case OT_UINT16:
        return ((const uint16_t *)t->data)[i];
    case OT_INT16:
        return ((const int16_t *)t->data)[i];
    case OT_UINT32:
        return ((const uint32_t *)t->data)[i];
    case OT_INT32:
        return ((const int32_t *)t->data)[i];
    case OT_INT64:
    case OT_UINT64:
        return ((const int64_t *)t->data)[i];
    case OT_UINT4:
        return (int64_t)ot_tensor_get_packed(t, i);
    case OT_INT4:
        return (int64_t)(ot_tensor_get_packed(t, i) ^ 8) - 8;
    case OT_UINT2:
        return (int64_t)ot_tensor_get_packed(t, i);
    case OT_INT2:
        return (int64_t)(ot_tensor_get_packed(t, i) ^ 2) - 2;
    default:
        return 0;
    }
}

void ot_tensor_set_packed(ot_tensor *t, int64_t i, unsigned code)
{
    uint8_t *p = t->data;
    int bits = ot_dtype_bits(t->dtype), at = (int)(i % (8 / bits)) * bits;
    unsigned mask = (1u << bits) - 1;
    p += i / (8 / bits);
    *p = (uint8_t)((at ? *p & ~(mask << at) & ((1u << (at + bits)) - 1) : 0) | (code & mask) << at);
}

void ot_tensor_set_int(ot_tensor *t, int64_t i, int64_t value)
{
    if (ot_dtype_size(t->dtype) == 0) {
        ot_tensor_set_packed(t, i, (unsigned)value);
        return;
    }
    switch (ot_dtype_size(t->dtype)) {
    case 8:
        ((int64_t *)t->data)[i] = value;
        break;
    case 4:
        ((int32_t *)t->data)[i] = (int32_t)value;
        break;
    case 2:
        ((int16_t *)t->data)[i] = (int16_t)value;
        break;
    default:
        ((int8_t *)t->data)[i] = (int8_t)value;
        break;
    }
}

static int64_t saturate(double v, double lo, double hi)
{
    if (isnan(v))
        return 0;
    return (int64_t)(v < lo ? lo : v > hi ? hi : v);
}

bool ot_tensor_same_data(const ot_tensor *a, const ot_tensor *b)
{
    const size_t bytes = ot_tensor_bytes(a);
    if (a->dtype != OT_STRING)
        return bytes == 0 || memcmp(a->data, b->data, bytes) == 0;
    const ot_str *x = a->data, *y = b->data;
    for (int64_t i = 0, n = ot_tensor_count(a); i < n; i++)
        if (x[i].n != y[i].n || (x[i].n && memcmp(x[i].bytes, y[i].bytes, x[i].n) != 0))
            return false;
    return true;
}

void ot_tensor_set(ot_tensor *t, int64_t i, double v)
{
    void *p = t->data;
    switch (t->dtype) {
    case OT_FLOAT:
        ((float *)p)[i] = (float)v;
        break;
    case OT_DOUBLE:
        ((double *)p)[i] = v;
        break;
    case OT_FLOAT16:
        ((uint16_t *)p)[i] = ot_double_to_f16(v);
        break;
    case OT_BFLOAT16:
        ((uint16_t *)p)[i] = ot_double_to_bf16(v);
        break;
    case OT_BOOL:
        ((uint8_t *)p)[i] = v != 0;
        break;
    case OT_UINT8:
        ((uint8_t *)p)[i] = (uint8_t)saturate(v, 0, UINT8_MAX);
        break;
    case OT_INT8:
        ((int8_t *)p)[i] = (int8_t)saturate(v, INT8_MIN, INT8_MAX);
        break;
    case OT_UINT16:
        ((uint16_t *)p)[i] = (uint16_t)saturate(v, 0, UINT16_MAX);
        break;
    case OT_INT16:
        ((int16_t *)p)[i] = (int16_t)saturate(v, INT16_MIN, INT16_MAX);
        break;
    case OT_UINT32:
        ((uint32_t *)p)[i] = (uint32_t)saturate(v, 0, UINT32_MAX);
        break;
    case OT_INT32:
        ((int32_t *)p)[i] = (int32_t)saturate(v, INT32_MIN, INT32_MAX);
        break;
    case OT_INT64:
        ((int64_t *)p)[i] = saturate(v, -0x1p63, 0x1.fffffffffffffp62);
        break;
    case OT_UINT64:
        ((uint64_t *)p)[i] = v >= 0x1p63 ? (uint64_t)(v < 0x1p64 ? v : 0x1.fffffffffffffp63)
                                         : (uint64_t)saturate(v, 0, 0x1p62 * 2 - 1024);
        break;
    case OT_UINT4:
        ot_tensor_set_packed(t, i, (unsigned)saturate(v, 0, 15));
        break;
    case OT_INT4:
        ot_tensor_set_packed(t, i, (unsigned)saturate(v, -8, 7));
        break;
    case OT_UINT2:
        ot_tensor_set_packed(t, i, (unsigned)saturate(v, 0, 3));
        break;
    case OT_INT2:
        ot_tensor_set_packed(t, i, (unsigned)saturate(v, -2, 1));
        break;
    case OT_FLOAT4E2M1:
        ot_tensor_set_packed(t, i, ot_double_to_small(t->dtype, v, true));
        break;
    case OT_FLOAT8E8M0:
        ((uint8_t *)p)[i] = ot_double_to_e8m0(v, true, OT_ROUND_UP);
        break;
    case OT_FLOAT8E4M3FN:
    case OT_FLOAT8E4M3FNUZ:
    case OT_FLOAT8E5M2:
    case OT_FLOAT8E5M2FNUZ:
        ((uint8_t *)p)[i] = (uint8_t)ot_double_to_small(t->dtype, v, true);
        break;
    default:
        break;
    }
}
