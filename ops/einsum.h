/* The equation of an Einsum: terms of letters and "...", one for each operand and one for the output. */
#ifndef OT_OPS_EINSUM_H
#define OT_OPS_EINSUM_H

#include "op.h"

#define OT_EINSUM_TERMS  17  /* operands and the output, at most */
#define OT_EINSUM_LABELS 64  /* 52 letters; the dims of "...", 52 being the last of them */
#define OT_EINSUM_TEXT   512 /* of an equation, at most */

typedef struct ot_term {
    char text[64]; /* letters, "..." kept, no spaces */
    int letters;
    bool dots;
} ot_term;

/* An equation as written; where it has no "->", the output's term is what ONNX says it is. */
typedef struct ot_equation {
    int n; /* operands; term[n] is the output */
    ot_term term[OT_EINSUM_TERMS];
} ot_equation;

ot_status ot_equation_read(ot_equation *e, const char *text);

/* Every dim's label, with the ranks known. */
typedef struct ot_term_labels {
    int n;
    int rank[OT_EINSUM_TERMS];
    int label[OT_EINSUM_TERMS][OT_MAX_RANK];
} ot_term_labels;

/* rank[]: of the operands, and of the output where `like` says that it is given.  With `like`, labels may be repeated
 * in the output (a diagonal) or be there only. */
ot_status ot_equation_label(ot_term_labels *l, const ot_equation *e, const int *rank, bool like);

/* ---- What a run does */

/* Labels in use: first those of the output, in its order, then those that are summed.  A label that an operand, or the
 * output, lacks or broadcasts has a stride of 0 there. */
typedef struct ot_sums {
    int n, n_out, n_label; /* operands; labels of the output; all labels */
    int64_t size[OT_EINSUM_LABELS];
    int64_t stride[OT_EINSUM_TERMS][OT_EINSUM_LABELS];
    bool has[OT_EINSUM_TERMS][OT_EINSUM_LABELS];
    bool sparse; /* the output is a diagonal in zeros */
} ot_sums;

ot_status ot_sums_of_run(ot_sums *s, const ot_run *r);
ot_status ot_sums_of_prep(ot_sums *s, const ot_prep *p);
/* Is it EinsumLike, whose operands begin at input 1? */
bool ot_einsum_is_like(const ot_node *n);

/* The kernel for two operands: float32, all labels in the output or in both. */
const char *ot_einsum_product_declines(const ot_prep *p);
ot_status ot_einsum_product_prepare(ot_prep *p);
ot_status ot_einsum_product_run(const ot_run *r);

#endif
