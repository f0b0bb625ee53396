/* Sources in this folder are compiled once for each instruction set.  OT_ISA is its name and OT_VL the floats of a
 * vector; both come from the build.  OT_K(x) is the name that x has in this compilation. */
#ifndef OT_KERNELS_ISA_H
#define OT_KERNELS_ISA_H

#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define OT_K_JOIN(x, isa)   x##_##isa
#define OT_K_EXPAND(x, isa) OT_K_JOIN(x, isa)
#define OT_K(x)             OT_K_EXPAND(x, OT_ISA)

#define OT_INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(OT_VL * 4), may_alias));
typedef float vfu __attribute__((vector_size(OT_VL * 4), aligned(4), may_alias)); /* for unaligned loads and stores */
typedef int32_t vi __attribute__((vector_size(OT_VL * 4), may_alias));
typedef float v4u __attribute__((vector_size(16), aligned(4), may_alias));

/* A micro tile is at most OT_MR rows by two vectors: what the registers of the instruction set hold. */
#if OT_VL == 16
#define OT_MR 14
#elif OT_VL == 8
#define OT_MR 6
#else
#define OT_MR 4
#endif
#define OT_NR (2 * OT_VL)

#define OT_KC   384  /* most depth of a packed block: a panel of A stays in the first-level cache */
#define OT_NT   192  /* most columns of a task's tile: OT_KC x OT_NT floats stay in the second-level cache */
#define OT_MT   1024 /* most rows of a task's tile, but for a panel's rounding */
#define OT_LINE 16   /* floats in a cache line */

/* Keeps a loaded vector of B in a register: gcc would fold the load into each multiply-add and read it anew. */
#if defined(__x86_64__) && OT_VL == 16
#define V_PIN(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__)
#define V_PIN(v) __asm__("" : "+x"(v))
#else
#define V_PIN(v) (void)(v)
#endif

OT_INLINE vf v_load(const float *p)
{
    return *(const vfu *)p;
}
OT_INLINE void v_store(float *p, vf v)
{
    *(vfu *)p = v;
}
/* Stores what will not be read soon, past the caches where that can be told; p is aligned as a vector.  v_stream_end
 * goes behind the last of them, before others may read. */
OT_INLINE void v_stream(float *p, vf v)
{
#if defined(__x86_64__) && OT_VL == 16
    _mm512_stream_ps(p, (__m512)v);
#elif defined(__x86_64__) && OT_VL == 8
    _mm256_stream_ps(p, (__m256)v);
#else
    v_store(p, v);
#endif
}
OT_INLINE void v_stream_end(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}
OT_INLINE vf v_set(float x)
{
    return (vf){ 0 } + x;
}
OT_INLINE vf v_pick(vi mask, vf a, vf b) /* a where the mask is all ones, else b */
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}
/* The larger and the smaller of bound and v; a NaN in v stays. */
OT_INLINE vf v_at_least(vf bound, vf v)
{
#if defined(__x86_64__) && OT_VL == 16
    return (vf)_mm512_max_ps((__m512)bound, (__m512)v);
#elif defined(__x86_64__) && OT_VL == 8
    return (vf)_mm256_max_ps((__m256)bound, (__m256)v);
#else
    return v_pick(v < bound, bound, v);
#endif
}
OT_INLINE vf v_at_most(vf bound, vf v)
{
#if defined(__x86_64__) && OT_VL == 16
    return (vf)_mm512_min_ps((__m512)bound, (__m512)v);
#elif defined(__x86_64__) && OT_VL == 8
    return (vf)_mm256_min_ps((__m256)bound, (__m256)v);
#else
    return v_pick(v > bound, bound, v);
#endif
}
/* The sum of the lanes, pairwise, in a fixed order. */
OT_INLINE float v_sum(vf v)
{
    float t[OT_VL];
    v_store(t, v);
    for (int half = OT_VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            t[i] += t[i + half];
    return t[0];
}

OT_INLINE int64_t k_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
OT_INLINE int64_t k_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
OT_INLINE int64_t k_ceil(int64_t a, int64_t b) /* ceil(a / b), a >= 0, b > 0 */
{
    return (a + b - 1) / b;
}
/* Item i of n things cut into `parts` as even as can be starts here. */
OT_INLINE int64_t k_cut(int64_t n, int64_t parts, int64_t i)
{
    return n * i / parts;
}
OT_INLINE void k_run(const ot_kernel_pool *pool, int64_t blocks, ot_kernel_task *fn, void *ctx)
{
    if (pool && pool->threads > 1 && blocks > 1) {
        pool->run(pool->pool, blocks, fn, ctx);
        return;
    }
    for (int64_t b = 0; b < blocks; b++)
        fn(ctx, b, 0);
}

#endif
