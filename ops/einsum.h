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

#endif
