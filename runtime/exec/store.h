/* The store: state by name (parameters, optimiser moments, running statistics, counters), shared by every graph that is
 * compiled over it, and the packed forms of weights. */
#ifndef OT_EXEC_STORE_H
#define OT_EXEC_STORE_H

#include "graph/step.h"

typedef struct ot_slot {
    char *name;
    ot_tensor tensor; /* owned */
} ot_slot;

typedef struct ot_store {
    ot_slot *slot;
    int64_t n, cap;
    ot_strmap by_name;
    uint64_t version; /* of all slots; raised by every committed step */
    ot_packs packs;
    size_t bytes; /* of all slots */
} ot_store;

ot_status ot_store_create(ot_store **out);
void ot_store_close(ot_store *s);
/* The slot of this name; made with a copy of `initial` (zeros when it has no data) when it
 * is new.  Its memory never moves.  OT_ESHAPE when it is
 * there with other dims or another type. */
ot_status ot_store_slot(ot_store *s, int64_t *index, const char *name, const ot_tensor *initial);
/* NULL when there is none. */
const ot_tensor *ot_store_find(const ot_store *s, const char *name);
/* Overwrites a slot's elements; same type and dims. */
ot_status ot_store_set(ot_store *s, const char *name, const ot_tensor *value);

#endif
