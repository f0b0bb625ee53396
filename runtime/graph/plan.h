/* A plan: the graph for concrete input shapes.  It says which kernel runs each node and where each value lies; making
 * it may allocate and fail, running it may not. */
#ifndef OT_GRAPH_PLAN_H
#define OT_GRAPH_PLAN_H

#include "graph/step.h"

typedef enum ot_place {
    OT_NOWHERE,   /* not computed in this plan */
    OT_IN_INPUT,  /* the caller's memory; at = index of the graph's input */
    OT_IN_WEIGHT, /* a constant's or slot's memory; at = the value that owns it */
    OT_IN_ARENA   /* at = offset in bytes */
} ot_place;

typedef struct ot_where {
    ot_place place;
    int64_t at;
} ot_where;

typedef struct ot_plan {
    ot_arena arena;
    const ot_graph *graph;
    const ot_fact **fact;    /* concrete, by value; NULL where it is not computed */
    ot_where *where;         /* by value */
    const ot_tensor **known; /* by value: constants of this plan (a Shape's result); else NULL */
    ot_val *view;            /* by value: whose bytes it shares; OT_NONE: its own */
    ot_step *step;
    int64_t n_step;
    size_t arena_bytes;   /* activations, all lifetimes overlapped */
    size_t scratch_bytes; /* the largest step's */
    bool *stored;         /* by binding: the value is written straight into the slot */
} ot_plan;

/* input: one concrete fact for each input of the graph.  slot: data of slots, by value (NULL elsewhere).
 * Errors name the node, the dimension and both numbers. */
ot_status ot_plan_create(ot_plan **out, ot_graph *g, const ot_fact *input, void *const *slot, ot_packs *packs,
                         int threads);
void ot_plan_close(ot_plan *p);

/* memory.c: lifetimes, views, in-place, offsets; called by ot_plan_create once steps and facts are there. */
ot_status ot_plan_memory(ot_plan *p);

#endif
