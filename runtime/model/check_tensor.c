/* Tensors: element type, dims, one value field that fits both, data in other files; sparse tensors. */
#define _POSIX_C_SOURCE 200809L
#include "model/check.h"
#include "base/tensor.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FLOAT6E2M3 = 27, FLOAT6E3M2 = 28, NEWEST_TYPE = FLOAT6E3M2 };

/* The value fields of a TensorProto. */
enum { IN_RAW, IN_FLOATS, IN_INTS, IN_STRINGS, IN_LONGS, IN_DOUBLES, IN_ULONGS, FIELDS };
static const char *const field_names[] = { "raw_data",   "float_data",  "int32_data", "string_data",
                                           "int64_data", "double_data", "uint64_data" };

static bool is_float6(int32_t type)
{
    return type == FLOAT6E2M3 || type == FLOAT6E3M2;
}

static int bits_of(int32_t type)
{
    return is_float6(type) ? 6 : ot_dtype_bits((ot_dtype)type);
}

static const char *type_name(int32_t type)
{
    return type == FLOAT6E2M3 ? "float6e2m3" : type == FLOAT6E3M2 ? "float6e3m2" : ot_dtype_name((ot_dtype)type);
}

static const uint8_t *raw_of(const ot_checker *c, const Onnx__TensorProto *t, size_t *n)
{
    const ot_payload *p = ot_model_payload(c->m, t);
    *n = p ? p->n : t->raw_data.len;
    return p ? ot_blob_bytes(p->blob) + p->offset : t->raw_data.data;
}

/* Entries of each field; bytes of raw_data. */
static void count_fields(const ot_checker *c, const Onnx__TensorProto *t, size_t n[FIELDS])
{
    raw_of(c, t, &n[IN_RAW]);
    n[IN_FLOATS] = t->n_float_data;
    n[IN_INTS] = t->n_int32_data;
    n[IN_STRINGS] = t->n_string_data;
    n[IN_LONGS] = t->n_int64_data;
    n[IN_DOUBLES] = t->n_double_data;
    n[IN_ULONGS] = t->n_uint64_data;
}

static int field_of(int32_t type)
{
    switch (type) {
    case OT_FLOAT:
    case OT_COMPLEX64:
        return IN_FLOATS;
    case OT_DOUBLE:
    case OT_COMPLEX128:
        return IN_DOUBLES;
    case OT_INT64:
        return IN_LONGS;
    case OT_UINT32:
    case OT_UINT64:
        return IN_ULONGS;
    case OT_STRING:
        return IN_STRINGS;
    default:
        return IN_INTS;
    }
}

/* Bytes of raw data, packed and rounded up; false when they pass SIZE_MAX. */
static bool raw_bytes(size_t *out, int32_t type, int64_t count)
{
    size_t bits;
    if (!ot_mul(&bits, (size_t)count, (size_t)bits_of(type)))
        return false;
    *out = bits / 8 + (bits % 8 != 0);
    return true;
}

/* Entries of a typed list: complex numbers take two, types under 5 bits share an int32 (the first 4 bytes of it). */
static size_t entries(int32_t type, size_t count)
{
    int bits = bits_of(type);
    if (type == OT_COMPLEX64 || type == OT_COMPLEX128)
        return count * 2;
    if (bits == 4 || bits == 2) {
        size_t each = 32 / (size_t)bits;
        return count / each + (count % each != 0);
    }
    return count;
}

/* Known tools write 4- and 2-bit types as one entry a byte, too. */
static bool entries_fit(int32_t type, size_t count, size_t n)
{
    size_t bytes = 0;
    int bits = bits_of(type);
    bool packed = (bits == 4 || bits == 2) && raw_bytes(&bytes, type, (int64_t)count) && n == bytes;
    return packed || n == entries(type, count);
}

static void check_float6(ot_checker *c, const Onnx__TensorProto *t, size_t count)
{
    size_t n, bytes = 0;
    const uint8_t *raw = raw_of(c, t, &n);
    unsigned used = (unsigned)(count * 6 % 8);
    if (used && raw_bytes(&bytes, t->data_type, (int64_t)count) && n == bytes && raw[n - 1] >> used)
        ot_found(c, "the bits after the last element are not zero");
    for (size_t i = 0; i < t->n_int32_data; i++)
        if (t->int32_data[i] < 0 || t->int32_data[i] > 0x3f) {
            ot_found(c, "int32_data[%zu] is %d, which is no %s", i, t->int32_data[i], type_name(t->data_type));
            return;
        }
}

/* count elements, in exactly one field, of the right size. */
static void check_value(ot_checker *c, const Onnx__TensorProto *t, int64_t count)
{
    size_t n[FIELDS], bytes;
    int used = -1, fields = 0;
    count_fields(c, t, n);
    for (int i = 0; i < FIELDS; i++)
        if (n[i]) {
            used = i;
            fields++;
        }
    if (count == 0 && fields)
        ot_found(c, "no elements, but %s holds data", field_names[used]);
    else if (count && fields != 1)
        ot_found(c, "%lld elements, and %d fields that hold data: one must", (long long)count, fields);
    if (count == 0 || fields != 1)
        return;
    int want = field_of(t->data_type);
    if (used == IN_RAW && t->data_type == OT_STRING)
        ot_found(c, "strings cannot be in raw_data");
    else if (used == IN_RAW && !raw_bytes(&bytes, t->data_type, count))
        ot_found(c, "%lld elements of %s are too many", (long long)count, type_name(t->data_type));
    else if (used == IN_RAW && n[IN_RAW] != bytes)
        ot_found(c, "raw_data has %zu bytes, %lld elements of %s take %zu", n[IN_RAW], (long long)count,
                 type_name(t->data_type), bytes);
    else if (used != IN_RAW && used != want)
        ot_found(c, "the values of %s are in %s, not in %s", type_name(t->data_type), field_names[used],
                 field_names[want]);
    else if (used != IN_RAW && ((size_t)count > SIZE_MAX / 2 || !entries_fit(t->data_type, (size_t)count, n[used])))
        ot_found(c, "%s has %zu entries, %lld elements of %s take %zu", field_names[used], n[used], (long long)count,
                 type_name(t->data_type),
                 (size_t)count > SIZE_MAX / 2 ? SIZE_MAX : entries(t->data_type, (size_t)count));
    if (is_float6(t->data_type))
        check_float6(c, t, (size_t)count);
}

/* ---- External data ----------------------------------------------------------------------------------------- */

static const char *entry_of(const Onnx__TensorProto *t, const char *key)
{
    for (size_t i = 0; i < t->n_external_data; i++)
        if (strcmp(ot_text(t->external_data[i]->key), key) == 0)
            return ot_text(t->external_data[i]->value);
    return NULL;
}

/* A hard link may lead to a file that the model's author could not read. */
static void check_links(ot_checker *c, const char *location)
{
    char path[4096];
    struct stat s;
    const char *slash = strrchr(c->m->path, '/');
    int folder = slash ? (int)(slash - c->m->path) + 1 : 0;
    int n = snprintf(path, sizeof(path), "%.*s%s", folder, c->m->path, location);
    if (n >= 0 && (size_t)n < sizeof(path) && stat(path, &s) == 0 && s.st_nlink > 1)
        ot_found(c, "external data '%.200s' has %ld hard links", location, (long)s.st_nlink);
}

static void check_external(ot_checker *c, const Onnx__TensorProto *t, int64_t count)
{
    size_t n[FIELDS], bytes;
    ot_payload p;
    count_fields(c, t, n);
    for (int i = 0; i < FIELDS; i++)
        if (n[i])
            ot_found(c, "the data is in another file, but %s holds some too", field_names[i]);
    if (t->data_type == OT_STRING)
        ot_found(c, "strings cannot be in another file");
    if (ot_external_find(c->m, t, &p) != OT_OK) {
        ot_found(c, "%s", ot_last_error());
        return;
    }
    check_links(c, entry_of(t, "location"));
    if (count < 0 || t->data_type == OT_STRING || !raw_bytes(&bytes, t->data_type, count))
        return;
    if (entry_of(t, "length") ? p.n != bytes : p.n < bytes)
        ot_found(c, "the external data has %zu bytes, %lld elements of %s take %zu", p.n, (long long)count,
                 type_name(t->data_type), bytes);
}

/* ---- Tensors ----------------------------------------------------------------------------------------------- */

/* The number of elements; -1 after a finding. */
static int64_t count_elements(ot_checker *c, const Onnx__TensorProto *t)
{
    size_t count = 1;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0) {
            ot_found(c, "dimension %zu is %lld", i, (long long)t->dims[i]);
            return -1;
        }
        if (!ot_mul(&count, count, (size_t)t->dims[i]) || count > INT64_MAX) {
            ot_found(c, "the product of the dims is too large");
            return -1;
        }
    }
    return (int64_t)count;
}

void ot_check_tensor(ot_checker *c, const Onnx__TensorProto *t)
{
    int64_t count = count_elements(c, t);
    if (!t->has_data_type || t->data_type == OT_UNDEFINED) {
        ot_found(c, "no element type");
        return;
    }
    if (t->data_type < 0 || t->data_type > NEWEST_TYPE) {
        ot_found(c, "element type %d is not known", t->data_type);
        return;
    }
    if (t->data_location != 0 && t->data_location != 1)
        ot_found(c, "data_location is %d, which is neither 0 (here) nor 1 (in a file)", t->data_location);
    else if (t->data_location == 1)
        check_external(c, t, count);
    else if (count >= 0)
        check_value(c, t, count);
}

/* ---- Sparse tensors ---------------------------------------------------------------------------------------- */

/* The place of index tuple i in the dense tensor (indices one number or `rank` numbers each); -1 after a finding. */
static int64_t place(ot_checker *c, const Onnx__SparseTensorProto *s, const ot_tensor *index, int64_t i)
{
    int64_t at = 0, size = 1, each = index->rank == 2 ? index->dim[1] : 1;
    if (index->rank == 1) {
        for (size_t k = 0; k < s->n_dims; k++)
            size *= s->dims[k];
        at = ot_tensor_get_int(index, i);
        if (at >= 0 && at < size)
            return at;
        ot_found(c, "index %lld is %lld, the tensor has %lld elements", (long long)i, (long long)at, (long long)size);
        return -1;
    }
    for (int64_t k = 0; k < each; k++) {
        int64_t v = ot_tensor_get_int(index, i * each + k);
        if (v < 0 || v >= s->dims[k]) {
            ot_found(c, "index %lld,%lld is %lld, the dimension is %lld", (long long)i, (long long)k, (long long)v,
                     (long long)s->dims[k]);
            return -1;
        }
        at = at * s->dims[k] + v;
    }
    return at;
}

static void check_indices(ot_checker *c, const Onnx__SparseTensorProto *s, int64_t values)
{
    const Onnx__TensorProto *t = s->indices;
    ot_tensor index;
    bool owned;
    if (t->data_type != OT_INT64) {
        ot_found(c, "the indices are %s, not int64", type_name(t->data_type));
        return;
    }
    if (t->n_dims != 1 && t->n_dims != 2) {
        ot_found(c, "the indices have rank %zu, not 1 or 2", t->n_dims);
        return;
    }
    if (t->dims[0] != values || (t->n_dims == 2 && t->dims[1] != (int64_t)s->n_dims)) {
        ot_found(c, "%lld indices of %lld numbers for %lld values of a tensor of rank %zu", (long long)t->dims[0],
                 t->n_dims == 2 ? (long long)t->dims[1] : 1LL, (long long)values, s->n_dims);
        return;
    }
    ot_status st = ot_model_tensor(c->m, t, &index, &owned);
    if (st != OT_OK) {
        if (st == OT_ENOMEM)
            c->st = st;
        else if (st != OT_EUNSUPPORTED) /* a segment breaks no rule */
            ot_found(c, "the indices cannot be read: %s", ot_last_error());
        return;
    }
    for (int64_t i = 0, last = -1; i < values; i++) {
        int64_t at = place(c, s, &index, i);
        if (at >= 0 && at <= last)
            ot_found(c, "index %lld is not after the one before it", (long long)i);
        if (at <= last) /* one such finding a tensor */
            break;
        last = at;
    }
    if (owned)
        ot_tensor_release(&index);
}

/* The product must fit, for the places to be numbers. */
static bool check_dense_dims(ot_checker *c, const Onnx__SparseTensorProto *s)
{
    size_t product = 1;
    if (!s->n_dims)
        ot_found(c, "the tensor has no dims");
    for (size_t i = 0; i < s->n_dims; i++) {
        if (s->dims[i] <= 0) {
            ot_found(c, "dimension %zu is %lld, and must be positive", i, (long long)s->dims[i]);
            return false;
        }
        if (!ot_mul(&product, product, (size_t)s->dims[i]) || product > INT64_MAX) {
            ot_found(c, "the product of the dims is too large");
            return false;
        }
    }
    return s->n_dims > 0;
}

void ot_check_sparse(ot_checker *c, const Onnx__SparseTensorProto *s)
{
    if (!s->values) {
        ot_found(c, "a sparse tensor without values");
        return;
    }
    int64_t before = c->found;
    size_t at = ot_check_enter(c, "values");
    ot_check_tensor(c, s->values);
    ot_check_leave(c, at);
    if (s->values->n_dims != 1)
        ot_found(c, "the values have rank %zu, not 1", s->values->n_dims);
    bool dense = check_dense_dims(c, s);
    if (s->indices) {
        at = ot_check_enter(c, "indices");
        ot_check_tensor(c, s->indices);
        ot_check_leave(c, at);
        if (dense && c->found == before)
            check_indices(c, s, s->values->dims[0]);
    } else if (s->values->n_dims == 1 && s->values->dims[0] != 0) {
        ot_found(c, "%lld values without indices", (long long)s->values->dims[0]);
    }
}
