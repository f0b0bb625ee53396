/* What matrix products share: types, and sums for their references. */
#ifndef OT_OPS_PRODUCT_H
#define OT_OPS_PRODUCT_H

#include "run.h"
#include "kernels/gemm.h"

/* A float type or a 32- or 64-bit integer, the same in every input that is there. */
ot_status ot_product_type(const ot_infer *c);
/* NULL for float32. */
const char *ot_product_declines(const ot_prep *p);

/* Kernels for a B that is a weight, packed once for all runs; their state is a pointer to an ot_packed.
 * declines: NULL, or why they do not take a product of m rows; prepare and run: of B [k][n] in whatever order g says.
 */
const char *ot_packed_product_declines(const ot_prep *p, int64_t m, bool trans_a);
ot_status ot_packed_product_prepare(ot_prep *p, int64_t n, int64_t k);
ot_status ot_packed_product_run(const ot_run *r, const ot_gemm_args *g);

/* Element (i, j) is element at + i * row + j * col of the tensor. */
typedef struct ot_matrix {
    const ot_tensor *t;
    int64_t at, row, col;
} ot_matrix;

/* Sum over p of a[i][p] b[p][j], of double tensors, and of integer ones modulo 2^64. */
double ot_dot(const ot_matrix *a, const ot_matrix *b, int64_t i, int64_t j, int64_t k);
uint64_t ot_dot_int(const ot_matrix *a, const ot_matrix *b, int64_t i, int64_t j, int64_t k);
/* Element i of a 32- or 64-bit integer tensor, modulo its width. */
void ot_put_int(const ot_tensor *t, int64_t i, uint64_t v);

#endif
