/* Small transposes in registers. */
#ifndef OT_KERNELS_TRANSPOSE_H
#define OT_KERNELS_TRANSPOSE_H

#include "isa.h"

typedef float v4 __attribute__((vector_size(16), may_alias));

OT_INLINE void transpose4(v4 r[4])
{
    v4 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    v4 c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

/* dst[q * dst_row + j] = src[j * src_row + q] for q < depth, j < cols. */
OT_INLINE void k_transpose(int64_t cols, int64_t depth, const float *src, int64_t src_row, float *dst, int64_t dst_row)
{
    int64_t whole = cols / 4 * 4, q = 0;
    for (; q + 4 <= depth; q += 4, src += 4, dst += 4 * dst_row) {
        for (int64_t j = 0; j < whole; j += 4) {
            v4 r[4];
            for (int i = 0; i < 4; i++)
                r[i] = *(const v4u *)(src + (j + i) * src_row);
            transpose4(r);
            for (int i = 0; i < 4; i++)
                *(v4u *)(dst + i * dst_row + j) = r[i];
        }
        for (int64_t j = whole; j < cols; j++)
            for (int i = 0; i < 4; i++)
                dst[i * dst_row + j] = src[j * src_row + i];
    }
    for (; q < depth; q++, src++, dst += dst_row)
        for (int64_t j = 0; j < cols; j++)
            dst[j] = src[j * src_row];
}

#endif
