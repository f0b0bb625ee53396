/* A map from names to numbers (indices of values, nodes, slots).  Keys are copied. */
#ifndef OT_BASE_STRMAP_H
#define OT_BASE_STRMAP_H

#include "base/alloc.h"

typedef struct ot_strmap {
    struct ot_strmap_slot *slots;
    int64_t n, cap;
} ot_strmap; /* all zero is an empty map */

/* Sets or replaces. */
ot_status ot_strmap_put(ot_strmap *m, const char *key, int64_t value);
/* The value, or `absent` when the key is not there. */
int64_t ot_strmap_get(const ot_strmap *m, const char *key, int64_t absent);
void ot_strmap_release(ot_strmap *m);

/* FNV-1a, 64 bits: stable for ever, also used to key random streams by name. */
uint64_t ot_hash(const char *s);
/* Goes on from h with n bytes, eight at a time: for megabytes; not stable between machines of different byte order. */
uint64_t ot_hash_bytes(uint64_t h, const void *bytes, size_t n);
#define OT_HASH_START 0xcbf29ce484222325u

#endif
