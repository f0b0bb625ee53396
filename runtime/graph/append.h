/* Growing a new end: the little language of `--append` and the layers that it knows. */
#ifndef OT_GRAPH_APPEND_H
#define OT_GRAPH_APPEND_H

#include "graph/docshape.h"

/* One argument of a layer, `value` or `key=value`; the texts are not terminated. */
typedef struct ot_head_arg {
    const char *key, *value;
    size_t n_key, n; /* n_key 0: by place */
    bool used;
} ot_head_arg;

#define OT_HEAD_ARGS 10

/* The layer being built, and the end of the model so far. */
typedef struct ot_head {
    ot_model *m;
    uint64_t seed;
    int64_t opset;
    void (*warn)(void *ctx, const char *text);
    void *warn_ctx;
    const char *text; /* the whole of --append */
    const char *word; /* the layer's name within it */
    char kind[32];    /* a copy of that */
    ot_head_arg arg[OT_HEAD_ARGS];
    int n_arg;
    char *value;        /* the name of the last value; owned */
    ot_doc_shape shape; /* of it */
    char *base;         /* the name of this layer's node; owned */
} ot_head;

/* Fails with the place: "append, character 12 ('conv'): ...". */
ot_status ot_head_fail(const ot_head *h, const char *at, const char *fmt, ...) OT_PRINTF(3, 4);
ot_status ot_head_warn(const ot_head *h, const char *fmt, ...) OT_PRINTF(2, 3);

/* Arguments by place (key NULL) or by key; `found` tells whether it was there, and it counts as used. */
ot_head_arg *ot_head_find(ot_head *h, int place, const char *key);
/* A whole number of at least lo; `otherwise` when absent (otherwise < lo: it must be there, `what` names it). */
ot_status ot_head_int(ot_head *h, int64_t *out, int place, const char *key, int64_t lo, int64_t otherwise,
                      const char *what);
/* "3" or "3x2": rows and columns. */
ot_status ot_head_pair(ot_head *h, int64_t out[2], int place, const char *key, int64_t lo, int64_t otherwise,
                       const char *what);
ot_status ot_head_real(ot_head *h, double *out, int place, const char *key, double lo, double hi, double otherwise,
                       const char *what);
/* Fails at the first argument that nobody asked for. */
ot_status ot_head_all_used(const ot_head *h);

typedef struct ot_head_layer {
    const char *name;
    ot_status (*build)(ot_head *h);
} ot_head_layer;

/* Ends with a NULL name. */
extern const ot_head_layer ot_head_layers[];

#endif
