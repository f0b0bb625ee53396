#include "wire_data.h"

#include <stdlib.h>
#include <string.h>

static void put(wire_data *w, const void *p, size_t n)
{
    if (n > sizeof(w->bytes) - w->n)
        abort();
    if (n)
        memcpy(w->bytes + w->n, p, n);
    w->n += n;
}

void wire_varint(wire_data *w, uint64_t v)
{
    do {
        uint8_t c = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        put(w, &c, 1);
        v >>= 7;
    } while (v);
}

void wire_int(wire_data *w, uint32_t field, uint64_t v)
{
    wire_varint(w, (uint64_t)field << 3);
    wire_varint(w, v);
}

void wire_bytes(wire_data *w, uint32_t field, const void *p, size_t n)
{
    wire_varint(w, (uint64_t)field << 3 | 2);
    wire_varint(w, n);
    put(w, p, n);
}

void wire_text(wire_data *w, uint32_t field, const char *s)
{
    wire_bytes(w, field, s, strlen(s));
}

void wire_nest(wire_data *w, uint32_t field, const wire_data *inner)
{
    wire_bytes(w, field, inner->bytes, inner->n);
}

void wire_model(wire_data *w, const wire_data *graph)
{
    wire_data opset = { .n = 0 };
    w->n = 0;
    wire_int(&opset, 2, 17);
    wire_int(w, 1, 8);
    wire_nest(w, 7, graph);
    wire_nest(w, 8, &opset);
}

typedef struct item {
    uint64_t key;
    const uint8_t *p;
    size_t n, at;
} item;

static const uint8_t *varint(uint64_t *v, const uint8_t *p, const uint8_t *end)
{
    *v = 0;
    for (int shift = 0; p < end && shift < 64; shift += 7) {
        *v |= (uint64_t)(*p & 127) << shift;
        if (*p++ < 128)
            return p;
    }
    return NULL;
}

/* The fields of a message into `out` (room for n of them); -1 when it is none. */
static long split(item *out, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    long count = 0;
    while (p < end) {
        item *f = &out[count];
        uint64_t v;
        p = varint(&f->key, p, end);
        if (!p || f->key >> 3 == 0)
            return -1;
        f->p = p;
        f->at = (size_t)count++;
        switch (f->key & 7) {
        case 0:
            p = varint(&v, p, end);
            break;
        case 1:
        case 5:
            v = (f->key & 7) == 1 ? 8 : 4;
            p = (size_t)(end - p) < v ? NULL : p + v;
            break;
        case 2:
            p = varint(&v, p, end);
            f->p = p;
            p = !p || (size_t)(end - p) < v ? NULL : p + v;
            break;
        default:
            p = NULL;
        }
        if (!p)
            return -1;
        f->n = (size_t)(p - f->p);
    }
    return count;
}

static int by_field(const void *a, const void *b)
{
    const item *x = a, *y = b;
    uint64_t i = x->key >> 3, k = y->key >> 3;
    return i != k ? (i < k ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

bool wire_equal(const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
    if (na == nb && memcmp(a, b, na) == 0)
        return true;
    item *x = malloc((na + 1) * sizeof(*x)), *y = malloc((nb + 1) * sizeof(*y));
    if (!x || !y)
        abort();
    long n = split(x, a, na), m = split(y, b, nb);
    bool same = n >= 0 && n == m;
    if (same) {
        qsort(x, (size_t)n, sizeof(*x), by_field);
        qsort(y, (size_t)n, sizeof(*y), by_field);
    }
    for (long i = 0; same && i < n; i++) {
        bool equal = x[i].n == y[i].n && memcmp(x[i].p, y[i].p, x[i].n) == 0;
        same = x[i].key == y[i].key && (equal || ((x[i].key & 7) == 2 && wire_equal(x[i].p, x[i].n, y[i].p, y[i].n)));
    }
    free(x);
    free(y);
    return same;
}
