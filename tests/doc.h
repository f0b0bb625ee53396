/* Documents written as tables, for tests of what other tools write. */
#ifndef OT_TESTS_DOC_H
#define OT_TESTS_DOC_H

#include "onnxtune.h"

typedef struct doc_node {
    const char *op;
    const char *in, *out; /* names with a space between; "_": absent */
    const char *attrs;    /* "axis=1 perm=0,2,1 axes=0, alpha=.5 auto_pad=VALID": one number is an int, a number with a
                             point a float, numbers with commas are ints ("0," one of them), "[1.,2.]" floats */
    const struct doc *then, *otherwise; /* branches of an If; score_mod and prob_mod of a FlexAttention, over "v" */
} doc_node;

#define NODE(op, in, out, attrs)                                                                                       \
    {                                                                                                                  \
        op, in, out, attrs, NULL, NULL                                                                                 \
    }

typedef struct doc_tensor {
    const char *name;
    ot_dtype dtype;
    int rank;
    int64_t dim[4];
    const double *values; /* NULL: drawn, normal, by the name */
} doc_tensor;

#define DOC_INTS(text, ...)                                                                                            \
    {                                                                                                                  \
        .name = (text), .dtype = OT_INT64, .rank = 1,                                                                  \
        .dim = { (int64_t)(sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double)) }, .values = (const double[])     \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
#define DOC_SCALAR(text, type, v)                                                                                      \
    {                                                                                                                  \
        .name = (text), .dtype = (type), .rank = 0, .values = (const double[])                                         \
        {                                                                                                              \
            v                                                                                                          \
        }                                                                                                              \
    }
#define DOC_FLOATS(text, ...)                                                                                          \
    {                                                                                                                  \
        .name = (text), .dtype = OT_FLOAT, .rank = sizeof((const int64_t[]){ __VA_ARGS__ }) / 8, .dim = {              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

/* Two arguments. */
#define DOC_DIMS(...)                                                                                                  \
    (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[])                               \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

typedef struct doc {
    int64_t opset, ir;         /* ir 0: 8; below 4 initialisers are inputs too */
    const char *x;             /* the input's dims: "N,3,H,W" */
    const doc_node *nodes;     /* the last output of the last node is the output; ends with op NULL */
    const doc_tensor *tensors; /* ends with name NULL; NULL: none */
} doc;

/* The model, or NULL and a failed check.  open_weights: drawn tensors are inputs after x, not initialisers. */
ot_model *doc_model(const doc *d, bool open_weights);
/* The elements of a drawn tensor as doubles. */
void doc_draw(double *out, int64_t n, const char *name);
/* Runs on an x of these dims, drawn as "x" is; a new tensor, or NULL and a failed check.  Fused and node by node must
 * agree. */
ot_tensor *doc_run(const doc *d, int rank, const int64_t *dim);
/* That the output of such a run has these dims and, within 1e-5, these elements. */
void doc_compare(const doc *d, const double *want, int rank, const int64_t *dim, int want_rank,
                 const int64_t *want_dim);
/* Gradients of x and of all drawn tensors, for a loss that weighs the output's elements, against central differences,
 * in double. */
void doc_check_gradients(const doc *d, int rank, const int64_t *dim);

#endif
