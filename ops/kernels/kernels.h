/* What all kernels share.  A kernel is arithmetic on pointers, sizes and strides: it knows no graph and no tensor, does
 * not allocate and cannot fail.  True of every function in this folder:
 *  - Sizes, shapes and strides were validated by the caller, products included; strides are in elements.
 *  - Pointers need the alignment of their type; a workspace and packed weights must be aligned to 64 bytes.
 *  - Outputs may not overlap inputs, except where the header says so.
 *  - A NULL pool is serial.  The bits of a result depend on the instruction set and the shapes, never on the threads.
 */
#ifndef OT_KERNELS_H
#define OT_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Computes one block; worker is 0 .. threads-1, no two at once with the same number. */
typedef void ot_kernel_task(void *ctx, int64_t block, int worker);

/* How a kernel gets threads: run() calls fn for blocks 0 .. blocks-1 and waits for all. */
typedef struct ot_kernel_pool {
    void (*run)(void *pool, int64_t blocks, ot_kernel_task *fn, void *ctx);
    void *pool;
    int threads;
} ot_kernel_pool;

typedef enum ot_kernel_act { OT_ACT_NONE, OT_ACT_RELU, OT_ACT_CLIP } ot_kernel_act;

/* What is done to each sum before it is stored: + bias, + residual, activation.  All zero: nothing. */
typedef struct ot_epilogue {
    const float *bias;     /* one a row of C, an output channel of a convolution; or NULL */
    const float *bias_col; /* one a column of C (ot_gemm only); or NULL */
    const float *residual; /* laid out as the output (ot_gemm: row stride ldr); may be the output itself; or NULL */
    int64_t ldr;           /* ot_gemm only */
    ot_kernel_act act;
    float lo, hi; /* OT_ACT_CLIP */
} ot_epilogue;

/* The instruction set in use: "baseline", "avx2" or "avx512".  Chosen at the first call of any kernel: the best that
 * the processor has, at most what the environment variable ONNXTUNE_ISA names. */
const char *ot_kernels_isa(void);
/* For tests: use this instruction set from now on; false (and no change) where it is unknown or missing.  Packed
 * weights and workspace sizes made before are void.  Not while a kernel runs. */
bool ot_kernels_use(const char *isa);

#endif
