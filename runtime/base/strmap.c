#include "base/strmap.h"

#include <string.h>

struct ot_strmap_slot {
    char *key;
    int64_t value;
};

uint64_t ot_hash(const char *s)
{
    uint64_t h = 14695981039346656037u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

/* The slot of the key, or the empty one where it belongs; cap is a power of two and never full. */
static struct ot_strmap_slot *find(const ot_strmap *m, const char *key)
{
    uint64_t mask = (uint64_t)m->cap - 1, i = ot_hash(key) & mask;
    while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
        i = (i + 1) & mask;
    return &m->slots[i];
}

static ot_status enlarge(ot_strmap *m)
{
    ot_strmap big = { .n = m->n, .cap = m->cap ? m->cap * 2 : 16 };
    big.slots = ot_calloc((size_t)big.cap, sizeof(*big.slots));
    if (!big.slots)
        return OT_ENOMEM;
    for (int64_t i = 0; i < m->cap; i++)
        if (m->slots[i].key)
            *find(&big, m->slots[i].key) = m->slots[i];
    ot_free(m->slots);
    *m = big;
    return OT_OK;
}

ot_status ot_strmap_put(ot_strmap *m, const char *key, int64_t value)
{
    if (m->n * 2 >= m->cap)
        OT_TRY(enlarge(m));
    struct ot_strmap_slot *s = find(m, key);
    if (!s->key) {
        s->key = ot_strdup(key);
        if (!s->key)
            return OT_ENOMEM;
        m->n++;
    }
    s->value = value;
    return OT_OK;
}

int64_t ot_strmap_get(const ot_strmap *m, const char *key, int64_t absent)
{
    if (!m->cap)
        return absent;
    const struct ot_strmap_slot *s = find(m, key);
    return s->key ? s->value : absent;
}

void ot_strmap_release(ot_strmap *m)
{
    for (int64_t i = 0; i < m->cap; i++)
        ot_free(m->slots[i].key);
    ot_free(m->slots);
    *m = (ot_strmap){ 0 };
}

uint64_t ot_hash_bytes(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; n; n--)
        h = (h ^ *p++) * 0x100000001b3u;
    return h;
}
