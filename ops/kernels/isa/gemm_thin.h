/* Products of one to four rows. */
#ifndef OT_KERNELS_GEMM_THIN_H
#define OT_KERNELS_GEMM_THIN_H

#include "../gemm.h"
#include "isa.h"

#define OT_THIN_ROWS 4

/* Does ot_gemm_thin take it?  Rows of A, and rows or columns of B, are dense. */
bool OT_K(ot_gemm_is_thin)(const ot_gemm_args *g);
void OT_K(ot_gemm_thin)(const ot_gemm_args *g, const ot_kernel_pool *pool);

#endif
