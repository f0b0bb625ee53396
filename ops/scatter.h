/* Elements of a tensor that are addressed by indices: the common part of GatherElements, GatherND, ScatterElements,
 * ScatterND, TensorScatter and their gradients. */
#ifndef OT_OPS_SCATTER_H
#define OT_OPS_SCATTER_H

#include "run.h"

/* The addressed elements ("picks", the updates of a Scatter) seen as [outer, n, inner].  Element (o, j, c) lies at a
 * place of the whole tensor that the indices tell.  Elements that differ in o or c never have the same place, so that
 * blocks of o and c are independent, and along j the order is that of the indices. */
typedef struct ot_picks {
    int64_t outer, n, inner;
    const ot_tensor *indices;
    enum { OT_PICK_ELEMENTS, OT_PICK_TUPLES, OT_PICK_CACHE } kind;
    int axis, rank;                  /* ELEMENTS: the axis that an index replaces */
    int64_t dim[OT_MAX_RANK];        /* ELEMENTS: of the indices */
    int64_t size[OT_MAX_RANK];       /* that index t must be below: ELEMENTS: size[0] */
    int64_t stride[OT_MAX_RANK];     /* ELEMENTS: of the whole; TUPLES: of index t of a tuple */
    int tuple;                       /* TUPLES: indices of one */
    int64_t outer_stride, per_batch; /* TUPLES, CACHE: from one o to the next; CACHE: o of one batch */
    bool wraps;                      /* CACHE: circular */
} ot_picks;

/* Of indices whose dims the shape rule has checked; only dims of `whole` are read.  Errors: an index out of range. */
ot_status ot_pick_elements(ot_picks *p, const ot_tensor *whole, const ot_tensor *indices, int axis);
ot_status ot_pick_tuples(ot_picks *p, const ot_tensor *whole, const ot_tensor *indices, int batch_dims);
/* indices: where each batch is written, or NULL; `n` elements along the axis are. */
ot_status ot_pick_cache(ot_picks *p, const ot_tensor *whole, const ot_tensor *indices, int axis, int64_t n, bool wraps);

#define OT_PICK_COLUMNS 256 /* of a block, at most */

/* Columns c0 .. c0 + width-1 of outer index o. */
typedef struct ot_pick_block {
    const ot_picks *p;
    int64_t o, c0, width;
    int64_t base[OT_PICK_COLUMNS], at[OT_PICK_COLUMNS];
} ot_pick_block;
/* Block b of ot_pick_blocks(p). */
int64_t ot_pick_blocks(const ot_picks *p);
int64_t ot_pick_grain(const ot_picks *p); /* blocks that are worth a range */
void ot_pick_begin(ot_pick_block *b, const ot_picks *p, int64_t block);
/* at[] becomes the places of the picks from (o, *j, c0) on, the number of which is returned; *j goes to the next. */
int64_t ot_pick_next(ot_pick_block *b, int64_t *j);
/* The place of (o, j, c0) where the picks of a row lie together: not of ELEMENTS. */
int64_t ot_pick_row(const ot_pick_block *b, int64_t j);

typedef enum ot_combining { OT_PUT, OT_PLUS, OT_TIMES, OT_LEAST, OT_MOST } ot_combining;
/* By the attribute `reduction`. */
ot_status ot_combining_of(ot_combining *how, const ot_node *n);

/* to[place] = pick by `how`, in the order of j.  What `how` cannot do is for ot_scatter_type to refuse.  Here and below
 * r may be NULL: one thread. */
void ot_scatter(const ot_run *r, const ot_picks *p, const ot_tensor *from, const ot_tensor *to, ot_combining how);
ot_status ot_scatter_type(ot_dtype t, ot_combining how);
/* y = whole[place], of elements of 8 bits or more. */
void ot_gather_picks(const ot_run *r, const ot_picks *p, const ot_tensor *whole, const ot_tensor *y);

/* Rules for indices of `whole` along `axis` element by element, and as tuples. */
ot_status ot_check_elements(const ot_infer *c, int indices, const ot_fact *whole, int axis);
ot_status ot_check_tuples(const ot_infer *c, int indices, const ot_fact *whole, int batch_dims);

#endif
