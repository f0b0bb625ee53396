/* One node made ready for concrete shapes: the kernel chosen, prepared, and run. */
#ifndef OT_GRAPH_STEP_H
#define OT_GRAPH_STEP_H

#include "graph/graph.h"

/* Other forms of weights, one copy for all plans; owned by the store. */
typedef struct ot_packs {
    struct ot_pack_entry *entry;
    int64_t n, cap;
    size_t bytes; /* in all */
    bool lean;    /* memory is short: kernels that are prepared from now on take small forms */
} ot_packs;
void ot_packs_release(ot_packs *p);
/* Lets go of all but the first n forms, which nothing may use any more. */
void ot_packs_cut(ot_packs *p, int64_t n);

typedef struct ot_step {
    const ot_node *node;
    const ot_kernel *kernel;
    const char *declined; /* why the fastest kernel was not taken; NULL: it was */
    ot_tensor *x, *y;     /* shapes are set by prepare; the executor sets data before each run */
    uint64_t *version;    /* of each input, see ot_run */
    void *state;
    size_t scratch;     /* bytes that a run needs, 64-byte aligned */
    size_t own_scratch; /* of them, what the kernel itself asked for */
    bool convert;       /* values come to the kernel in another type: see in_double and in_bytes of ot_kernel */
    double seconds;     /* of the fastest run so far, where runs are timed; else 0 */
    ot_arena text;      /* of strings that the last run made */
} ot_step;

/* Facts are concrete: x[i] NULL where absent.  The step's arrays live in the arena; state is freed by ot_step_release.
 */
ot_status ot_step_prepare(ot_step *s, ot_arena *arena, const ot_node *n, const ot_fact *const *x,
                          const ot_fact *const *y, const ot_tensor *const *constant, const void *const *weight,
                          ot_packs *packs, int threads);
/* Data of all x and y must be set. */
ot_status ot_step_run(ot_step *s, void *scratch, ot_threads *threads);
void ot_step_release(ot_step *s);

/* evaluate.c: runs one node now.  Facts as for ot_step_prepare; constant[i] is the data of input i, NULL where it is
 * absent or only its shape is read; result[i] takes output i, NULL where it is absent.  Strings are copied to `text`.
 */
ot_status ot_evaluate_node(ot_arena *arena, ot_arena *text, const ot_node *n, const ot_fact *const *x,
                           const ot_fact *const *y, const ot_tensor *const *constant, ot_tensor *const *result,
                           ot_threads *threads);

/* Gives every element of a string tensor bytes of its own in the arena. */
ot_status ot_copy_strings(ot_arena *arena, ot_tensor *t);

/* fold.c: nodes that depend on nothing but constants are computed now; results over max_bytes stay nodes. */
#define OT_FOLD_LIMIT ((size_t)64 << 20) /* what sessions and training pass */
ot_status ot_fold(ot_graph *g, size_t max_bytes);

#endif
