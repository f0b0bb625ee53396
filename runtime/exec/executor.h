/* The executor: a finished graph over a store, with a plan for each input shape and one arena for all of them. */
#ifndef OT_EXEC_EXECUTOR_H
#define OT_EXEC_EXECUTOR_H

#include "exec/store.h"
#include "graph/plan.h"

/* One block of memory that several executors may share: they never run at the same time. */
typedef struct ot_workspace {
    char *bytes;
    size_t size;
} ot_workspace;
void ot_workspace_release(ot_workspace *w);

typedef struct ot_executor ot_executor;

#define OT_MOST_TRIPS ((int64_t)1 << 24)

typedef struct ot_executor_opts {
    ot_store *store;         /* not owned */
    ot_threads *threads;     /* not owned */
    ot_workspace *workspace; /* not owned */
    size_t memory;           /* cap in bytes on arena + scratch + state + packed weights; 0: none */
    bool timed;              /* each step's time is taken */
    int64_t trips;           /* through bodies, that one run may make; 0: OT_MOST_TRIPS */
} ot_executor_opts;

/* Takes the graph over (also when it fails). */
ot_status ot_executor_create(ot_executor **out, ot_graph *g, const ot_executor_opts *opts);
void ot_executor_close(ot_executor *e);
const ot_graph *ot_executor_graph(const ot_executor *e);

/* A plan for inputs of these types and dims, kept for later; the last 32 are.  Data is looked at where a shape depends
 * on it, and may be NULL. */
ot_status ot_executor_prepare(ot_executor *e, const ot_tensor *input);
/* input: one tensor for each input of the graph, in order.  Prepares when the shapes are new. */
ot_status ot_executor_run(ot_executor *e, const ot_tensor *input);
/* Output i of the last run: a view, valid until the next run of any executor over the same workspace. */
const ot_tensor *ot_executor_output(const ot_executor *e, int64_t i);
/* Items as inputs, one each: of sequences and optionals too. */
ot_status ot_executor_run_items(ot_executor *e, const ot_item *const *input);
/* Output i of the last run, of any kind; NULL before one. */
const ot_item *ot_executor_output_item(const ot_executor *e, int64_t i);
/* NULL where the graph is planned. */
const struct ot_walker *ot_executor_walker(const ot_executor *e);
/* What the last plan takes; OT_EARG when there is none. */
ot_status ot_executor_memory(const ot_executor *e, ot_memory *out);
/* The plan of the last prepare or run; NULL before. */
const ot_plan *ot_executor_plan(const ot_executor *e);

#endif
