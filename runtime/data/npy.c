#include "data/npy.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_HEADER 65536

typedef struct header {
    ot_dtype dtype;
    bool swap, fortran; /* bytes of an element in the other order; the first index runs fastest */
    int rank;
    int64_t dim[OT_MAX_RANK];
} header;

/* NumPy's letter and size for our types; complex swaps by halves. */
static const struct {
    char kind;
    int size, part;
    ot_dtype dtype;
} types[] = {
    { 'b', 1, 1, OT_BOOL },      { 'i', 1, 1, OT_INT8 },        { 'u', 1, 1, OT_UINT8 },  { 'i', 2, 2, OT_INT16 },
    { 'u', 2, 2, OT_UINT16 },    { 'i', 4, 4, OT_INT32 },       { 'u', 4, 4, OT_UINT32 }, { 'i', 8, 8, OT_INT64 },
    { 'u', 8, 8, OT_UINT64 },    { 'f', 2, 2, OT_FLOAT16 },     { 'f', 4, 4, OT_FLOAT },  { 'f', 8, 8, OT_DOUBLE },
    { 'c', 8, 4, OT_COMPLEX64 }, { 'c', 16, 8, OT_COMPLEX128 },
};
#define TYPES (sizeof(types) / sizeof(types[0]))

/* ---- The header: a Python dict with three known keys ------------------------------------------------------- */

typedef struct text {
    const char *p, *end;
} text;

static void skip_space(text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t'))
        t->p++;
}

static bool take(text *t, const char *word)
{
    size_t n = strlen(word);
    skip_space(t);
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n))
        return false;
    t->p += n;
    return true;
}

/* A quoted string of less than `room` characters. */
static bool take_string(text *t, char *out, size_t room)
{
    skip_space(t);
    if (t->p == t->end || (*t->p != '\'' && *t->p != '"'))
        return false;
    char quote = *t->p++;
    size_t n = 0;
    while (t->p < t->end && *t->p != quote && n + 1 < room)
        out[n++] = *t->p++;
    out[n] = 0;
    if (t->p == t->end || *t->p != quote)
        return false;
    t->p++;
    return true;
}

static bool take_number(text *t, int64_t *out)
{
    int digits = 0;
    skip_space(t);
    *out = 0;
    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9' && digits < 18; digits++)
        *out = *out * 10 + (*t->p++ - '0');
    take(t, "L"); /* Python 2 wrote long integers so */
    return digits > 0;
}

static ot_status read_descr(header *h, text *t)
{
    char descr[32];
    if (!take_string(t, descr, sizeof(descr)))
        return ot_fail(OT_EDATA, "npy: 'descr' is no simple element type");
    int size = 0;
    char order = descr[0];
    bool known = strchr("<>=|", order) && descr[0] && descr[1];
    for (const char *p = descr + 2; known && *p; p++)
        size = *p >= '0' && *p <= '9' && size < 100 ? size * 10 + (*p - '0') : 1000;
    for (size_t i = 0; known && i < TYPES; i++)
        if (types[i].kind == descr[1] && types[i].size == size)
            h->dtype = types[i].dtype;
    if (h->dtype == OT_UNDEFINED)
        return ot_fail(OT_EDATA, "npy: element type '%s' is not supported", descr);
    h->swap = order == '>';
    return OT_OK;
}

static ot_status read_shape(header *h, text *t)
{
    if (!take(t, "("))
        return ot_fail(OT_EDATA, "npy: 'shape' is no tuple");
    while (!take(t, ")")) {
        if (h->rank == OT_MAX_RANK)
            return ot_fail(OT_EDATA, "npy: more than %d dimensions", OT_MAX_RANK);
        if (!take_number(t, &h->dim[h->rank++]) || (!take(t, ",") && (t->p == t->end || *t->p != ')')))
            return ot_fail(OT_EDATA, "npy: dimension %d of 'shape' is no number", h->rank - 1);
    }
    return OT_OK;
}

static ot_status read_header(header *h, text t)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    *h = (header){ 0 };
    if (!take(&t, "{"))
        return ot_fail(OT_EDATA, "npy: the header is no dict");
    while (!take(&t, "}")) {
        char key[32];
        if (!take_string(&t, key, sizeof(key)) || !take(&t, ":"))
            return ot_fail(OT_EDATA, "npy: the header is damaged");
        int k = strcmp(key, "descr") == 0 ? DESCR : strcmp(key, "fortran_order") == 0 ? ORDER : 0;
        k = strcmp(key, "shape") == 0 ? SHAPE : k;
        if (!k || seen & k)
            return ot_fail(OT_EDATA, "npy: unexpected key '%s'", key);
        seen |= k;
        if (k == DESCR)
            OT_TRY(read_descr(h, &t));
        if (k == SHAPE)
            OT_TRY(read_shape(h, &t));
        if (k == ORDER && !(h->fortran = take(&t, "True")) && !take(&t, "False"))
            return ot_fail(OT_EDATA, "npy: 'fortran_order' is neither True nor False");
        take(&t, ",");
    }
    return seen == (DESCR | ORDER | SHAPE) ? OT_OK : ot_fail(OT_EDATA, "npy: the header lacks a key");
}

/* ---- The elements ------------------------------------------------------------------------------------------ */

static void swap_parts(uint8_t *p, size_t bytes, size_t part)
{
    for (size_t at = 0; at + part <= bytes; at += part)
        for (size_t i = 0; i < part / 2; i++) {
            uint8_t b = p[at + i];
            p[at + i] = p[at + part - 1 - i];
            p[at + part - 1 - i] = b;
        }
}

static void copy_fortran(uint8_t *to, const uint8_t *from, const header *h, int64_t count, size_t size)
{
    int64_t stride[OT_MAX_RANK], at[OT_MAX_RANK] = { 0 }, offset = 0;
    for (int i = 0; i < h->rank; i++)
        stride[i] = i ? stride[i - 1] * h->dim[i - 1] : 1;
    for (int64_t k = 0; k < count; k++) {
        memcpy(to + (size_t)k * size, from + (size_t)offset * size, size);
        for (int i = h->rank - 1; i >= 0; i--) {
            offset += stride[i];
            if (++at[i] < h->dim[i])
                break;
            offset -= at[i] * stride[i];
            at[i] = 0;
        }
    }
}

static void fill(ot_tensor *t, const header *h, const uint8_t *data, size_t bytes)
{
    size_t size = ot_dtype_size(t->dtype), part = size;
    if (h->fortran)
        copy_fortran(t->data, data, h, ot_tensor_count(t), size);
    else if (bytes)
        memcpy(t->data, data, bytes);
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].dtype == t->dtype)
            part = (size_t)types[i].part;
    if (h->swap)
        swap_parts(t->data, bytes, part);
    uint8_t *p = t->data;
    for (size_t i = 0; t->dtype == OT_BOOL && i < bytes; i++)
        p[i] = p[i] != 0;
}

ot_status ot_npy_decode(ot_tensor **out, const uint8_t *bytes, size_t n)
{
    header h;
    *out = NULL;
    if (n < 12 || memcmp(bytes, "\x93NUMPY", 6))
        return ot_fail(OT_EDATA, "npy: no .npy file");
    if (bytes[6] < 1 || bytes[6] > 3)
        return ot_fail(OT_EDATA, "npy: format version %d is not known", bytes[6]);
    size_t start = bytes[6] == 1 ? 10 : 12, len = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        len |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (len > MAX_HEADER || len > n - start)
        return ot_fail(OT_EDATA, "npy: a header of %zu bytes in a file of %zu", len, n);
    OT_TRY(read_header(&h, (text){ (const char *)bytes + start, (const char *)bytes + start + len }));
    size_t need, have = n - start - len;
    OT_TRY(ot_bytes(&need, h.dtype, h.rank, h.dim) == OT_OK
               ? OT_OK
               : ot_fail(OT_EDATA, "npy: the shape %s is out of range", OT_DIMS(h.rank, h.dim)));
    if (need != have)
        return ot_fail(OT_EDATA, "npy: %s of shape %s takes %zu bytes, the file has %zu", ot_dtype_name(h.dtype),
                       OT_DIMS(h.rank, h.dim), need, have);
    OT_TRY(ot_tensor_create(out, h.dtype, h.rank, h.dim));
    fill(*out, &h, bytes + start + len, need);
    return OT_OK;
}

ot_status ot_npy_read(ot_tensor **out, const char *path)
{
    ot_map m;
    *out = NULL;
    OT_TRY(ot_file_map(&m, path));
    ot_status st = ot_npy_decode(out, m.bytes, m.n);
    ot_file_unmap(&m);
    return st == OT_OK ? st : ot_context(st, "%s", path);
}

/* ---- Writing ----------------------------------------------------------------------------------------------- */

/* The type to write: NumPy has no small or brain floats and nothing packed. */
static ot_dtype written_type(ot_dtype d)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].dtype == d)
            return d;
    if (ot_dtype_is_float(d))
        return OT_FLOAT;
    if (d == OT_INT4 || d == OT_INT2)
        return OT_INT8;
    return d == OT_UINT4 || d == OT_UINT2 ? OT_UINT8 : OT_UNDEFINED;
}

static bool host_is_big(void)
{
    const uint16_t one = 1;
    uint8_t low;
    memcpy(&low, &one, 1);
    return low == 0;
}

static ot_status put_header(ot_writer *w, ot_dtype dtype, const ot_tensor *t)
{
    char dict[512], start[10] = { '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0 };
    size_t k = 0;
    while (types[k].dtype != dtype)
        k++;
    int n = snprintf(dict, sizeof(dict), "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                     types[k].size == 1 ? '|'
                     : host_is_big()    ? '>'
                                        : '<',
                     types[k].kind, types[k].size);
    for (int i = 0; i < t->rank; i++)
        n += snprintf(dict + n, sizeof(dict) - (size_t)n, "%s%" PRId64 "%s", i ? " " : "", t->dim[i],
                      i + 1 < t->rank || t->rank == 1 ? "," : "");
    n += snprintf(dict + n, sizeof(dict) - (size_t)n, "), }");
    while ((10 + n + 1) % 64)
        dict[n++] = ' ';
    dict[n++] = '\n';
    start[8] = (char)(n & 255);
    start[9] = (char)(n >> 8);
    OT_TRY(ot_writer_put(w, start, 10));
    return ot_writer_put(w, dict, (size_t)n);
}

static ot_status put_elements(ot_writer *w, ot_dtype dtype, const ot_tensor *t)
{
    if (dtype == t->dtype)
        return ot_writer_put(w, t->data, ot_tensor_bytes(t));
    for (int64_t i = 0; i < ot_tensor_count(t); i++) {
        double v = ot_tensor_get(t, i);
        float f = (float)v;
        int8_t b = (int8_t)(int)v; /* 4 bits at most, signed or not */
        OT_TRY(dtype == OT_FLOAT ? ot_writer_put(w, &f, sizeof(f)) : ot_writer_put(w, &b, 1));
    }
    return OT_OK;
}

ot_status ot_npy_write(const char *path, const ot_tensor *t)
{
    ot_writer *w;
    ot_dtype dtype = written_type(t->dtype);
    if (dtype == OT_UNDEFINED)
        return ot_fail(OT_EUNSUPPORTED, "%s: .npy cannot hold elements of type %s", path, ot_dtype_name(t->dtype));
    OT_TRY(ot_writer_open(&w, path));
    ot_status st = put_header(w, dtype, t);
    if (st == OT_OK)
        st = put_elements(w, dtype, t);
    if (st == OT_OK)
        return ot_writer_commit(w);
    ot_writer_abort(w);
    return st;
}
