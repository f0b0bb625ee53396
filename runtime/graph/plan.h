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
    bool *looked_at;         /* by input: known holds a copy of its data, the plan is good for equal data only */
    size_t known_bytes;      /* of all in `known` that took more than a shape rule */
    int64_t *maker;          /* known.c's own: by value, the index of its node or ~index of its input */
    bool *visited;           /* known.c's own: by node */
    ot_val *view;            /* by value: whose bytes it shares; OT_NONE: its own */
    ot_step *step;
    int64_t n_step;
    size_t arena_bytes;   /* activations, all lifetimes overlapped */
    size_t scratch_bytes; /* the largest step's */
    bool *stored;         /* by binding: the value is written straight into the slot */
} ot_plan;

typedef struct ot_plan_opts {
    const ot_tensor *input; /* one for each input of the graph; data NULL where it is not there yet */
    void *const *slot;      /* data of slots, by value; NULL elsewhere */
    ot_packs *packs;
    ot_threads *threads;
    size_t memory; /* cap on known_bytes; 0: none */
} ot_plan_opts;

/* Errors name the node, the dimension and both numbers. */
ot_status ot_plan_create(ot_plan **out, ot_graph *g, const ot_plan_opts *opts);
void ot_plan_close(ot_plan *p);
/* An input's dimension must be the declared number, and a named symbol the same number everywhere: binding[], by
 * symbol, has -1 where no input gave it yet. */
ot_status ot_bind_input(const ot_graph *g, ot_dim *binding, const ot_value *v, const ot_tensor *given);

/* Small: up to OT_MAX_VALUE elements. */
typedef enum ot_look { OT_SMALL_INTS, OT_SMALL, OT_ALL } ot_look;

/* known.c: where the shape of a node's output depends on data, makes the data of those inputs part of the plan: nodes
 * that they come from run now, inputs of the graph are copied.  *more: something new is known.  Facts of all nodes
 * before it are there. */
ot_status ot_plan_know_inputs(bool *more, ot_plan *p, const ot_plan_opts *o, const ot_node *n, ot_look look);

/* memory.c: lifetimes, views, in-place, offsets; called by ot_plan_create once steps and facts are there. */
ot_status ot_plan_memory(ot_plan *p);

#endif
