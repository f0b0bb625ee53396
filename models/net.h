/* A document that grows node by node: what the builders of nets are written in.  The first failure sticks, and all that
 * comes after it does nothing. */
#ifndef OT_MODELS_NET_H
#define OT_MODELS_NET_H

#include "base/arena.h"
#include "model/edit.h"

typedef struct ot_net {
    ot_model *m;
    const ot_new_options *o;
    ot_status st;
    Onnx__NodeProto *node; /* the last one */
    ot_arena names;        /* dies with the net; the document has copies */
} ot_net;

/* A text that lasts as long as the net; "" after a failure. */
const char *ot_net_name(ot_net *n, const char *fmt, ...) OT_PRINTF(2, 3);

/* Dims: -1 is open and then takes its name from `open`, one letter a dimension ("TN." for [T, N, 56]). */
void ot_net_input(ot_net *n, const char *name, ot_dtype dtype, int rank, const int64_t *dim, const char *open);
void ot_net_output(ot_net *n, const char *name, ot_dtype dtype, int rank, const int64_t *dim, const char *open);

/* Parameters: float initializers drawn by (seed, name), so that one net's weights do not depend on another's. */
void ot_net_uniform(ot_net *n, const char *name, double bound, int rank, const int64_t *dim); /* in +-bound */
void ot_net_normal(ot_net *n, const char *name, double deviation, int rank, const int64_t *dim);
void ot_net_fill(ot_net *n, const char *name, double value, int rank, const int64_t *dim);
/* A square with ones on its diagonal, [size, size] after leading dims of 1 up to `rank`. */
void ot_net_eye(ot_net *n, const char *name, int rank, int64_t size);
/* Constants that do not train: [count], or a scalar when count is 0. */
void ot_net_ints(ot_net *n, const char *name, int64_t count, const int64_t *value);

/* A node of this output's name.  Inputs: "" leaves one out. */
#define OT_NET(n, op, out, ...)                                                                                        \
    ot_net_node(n, op, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)),                                \
                (const char *[]){ __VA_ARGS__ }, 1, (const char *[]){ out })
void ot_net_node(ot_net *n, const char *op, int n_in, const char *const *in, int n_out, const char *const *out);
/* Attributes of the last node. */
void ot_net_int(ot_net *n, const char *name, int64_t value);
void ot_net_list(ot_net *n, const char *name, int count, const int64_t *value);

/* y = x W + b with W [in, out], drawn as PyTorch draws a Linear layer: uniform in +-1/sqrt(in).  Parameters are
 * "LAYER.weight" and "LAYER.bias"; without `draw` they are there already. */
void ot_net_linear(ot_net *n, const char *layer, const char *y, const char *x, int64_t in, int64_t out, bool draw);

/* What a table of nets holds, a row each. */
typedef struct ot_net_row {
    ot_net_info info;
    void (*build)(ot_net *n);
} ot_net_row;
/* Each file of nets ends in a table that a row without a name ends; nets.c lists the tables. */
extern const ot_net_row ot_char_nets[], ot_cifar_nets[];

#endif
