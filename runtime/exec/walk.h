/* The walker: runs a graph a node at a time, each with the shapes and data that it meets.  It serves graphs that hold
 * bodies, or values that are no tensors, where a plan cannot be made before the run; a node's kernel is prepared anew
 * only when shapes, or data that they depend on, changed. */
#ifndef OT_EXEC_WALK_H
#define OT_EXEC_WALK_H

#include "exec/executor.h"

typedef struct ot_walker ot_walker;
typedef struct ot_frame ot_frame; /* a graph and what is kept of it from run to run */

struct ot_walker {
    const ot_executor_opts *o;
    ot_frame *root;
    int64_t trips, most_trips; /* through bodies, in one run */
    size_t live, peak;         /* bytes of values that the run made */
    char *scratch;
    size_t scratch_bytes;
    int64_t steps; /* kernels that the last run ran */
};

/* slot: data of the graph's slots, by value. */
ot_status ot_walker_create(ot_walker **out, ot_graph *g, const ot_executor_opts *o, void *const *slot,
                           int64_t most_trips);
/* After all boxes that a run gave were dropped. */
void ot_walker_close(ot_walker *w);
/* One box for each input of the graph; out gets a reference for each output, and none when it fails. */
ot_status ot_walker_run(ot_walker *w, ot_box *const *in, ot_box **out);
/* The value of the last run that is still held (outputs, bindings, the guard); NULL when it is not. */
const ot_tensor *ot_walker_value(const ot_walker *w, ot_val v);

/* box.c: a box over what the caller owns, for as long as it is used. */
ot_box *ot_box_lend(ot_walker *w, const ot_tensor *t);
/* A box over an item of the caller's; NULL with the error set. */
ot_box *ot_box_of_item(ot_walker *w, const ot_item *v);
/* A view of a box, good for as long as that; lists lie in the arena. */
ot_status ot_item_of_box(ot_item *out, ot_arena *arena, ot_box *b);
/* The item must be of the input's kinds and types; tensors are bound as ot_bind_input does. */
ot_status ot_check_item(const ot_graph *g, ot_dim *binding, const ot_value *input, const ot_fact *f, const ot_item *v);
/* A box that views all bytes of b as other dims or the same. */
ot_box *ot_box_view(ot_walker *w, ot_box *b, const ot_fact *f);
/* A new tensor without elements; strings are zeroed. */
ot_box *ot_box_blank(ot_walker *w, const ot_fact *f);
/* The fact of a box as it is; parts of it in the arena. */
ot_status ot_box_fact(ot_fact *out, ot_arena *arena, const ot_box *b, bool with_elements);

#endif
