/* The inner product over blocks: a tile of places by a panel of output channels, in registers. */
#include "block.h"

#if OT_VL == 16
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#elif OT_VL == 8
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5)
#else
#define FOR_ROWS(X) X(0) X(1)
#endif
#define MOST_ROWS (OT_VL == 16 ? 14 : OT_VL == 8 ? 6 : 2)

/* Vector j of row i of c: block j / OT_BLOCK_VECTORS, its part j % OT_BLOCK_VECTORS. */
#define AT(i, j) ((i)*t->c_row + (j) / OT_BLOCK_VECTORS * t->c_block + (j) % OT_BLOCK_VECTORS * OT_VL)

#define ROW_LOAD(i)                                                                                                    \
    vf c##i##_0 = bias0, c##i##_1 = bias1, c##i##_2 = bias2, c##i##_3 = bias3;                                         \
    if (rows > i && t->start) {                                                                                        \
        c##i##_0 += v_load(t->start + AT(i, 0));                                                                       \
        if (vectors > 1)                                                                                               \
            c##i##_1 += v_load(t->start + AT(i, 1));                                                                   \
        if (vectors > 2) {                                                                                             \
            c##i##_2 += v_load(t->start + AT(i, 2));                                                                   \
            c##i##_3 += v_load(t->start + AT(i, 3));                                                                   \
        }                                                                                                              \
    }
#define ROW_STEP(i)                                                                                                    \
    if (rows > i) {                                                                                                    \
        float x = a[i * row];                                                                                          \
        c##i##_0 += x * b0;                                                                                            \
        if (vectors > 1)                                                                                               \
            c##i##_1 += x * b1;                                                                                        \
        if (vectors > 2) {                                                                                             \
            c##i##_2 += x * b2;                                                                                        \
            c##i##_3 += x * b3;                                                                                        \
        }                                                                                                              \
    }
#define PUT(i, j) v_store(t->c + AT(i, j), v_at_most(hi, v_at_least(lo, c##i##_##j)));
#define ROW_STORE(i)                                                                                                   \
    if (rows > i) {                                                                                                    \
        PUT(i, 0)                                                                                                      \
        if (vectors > 1)                                                                                               \
            PUT(i, 1)                                                                                                  \
        if (vectors > 2) {                                                                                             \
            PUT(i, 2)                                                                                                  \
            PUT(i, 3)                                                                                                  \
        }                                                                                                              \
    }

#define ROW_STORE_AS_IS(i)                                                                                             \
    if (rows > i) {                                                                                                    \
        v_store(t->c + AT(i, 0), c##i##_0);                                                                            \
        if (vectors > 1)                                                                                               \
            v_store(t->c + AT(i, 1), c##i##_1);                                                                        \
        if (vectors > 2) {                                                                                             \
            v_store(t->c + AT(i, 2), c##i##_2);                                                                        \
            v_store(t->c + AT(i, 3), c##i##_3);                                                                        \
        }                                                                                                              \
    }

OT_INLINE void micro(const int rows, const int vectors, const int64_t row, const block_tile *t)
{
    const vf bias0 = t->bias ? v_load(t->bias) : v_set(0);
    const vf bias1 = t->bias && vectors > 1 ? v_load(t->bias + OT_VL) : v_set(0);
    const vf bias2 = t->bias && vectors > 2 ? v_load(t->bias + 2 * OT_VL) : v_set(0);
    const vf bias3 = t->bias && vectors > 2 ? v_load(t->bias + 3 * OT_VL) : v_set(0);
    const float *ahead = t->ahead;
    FOR_ROWS(ROW_LOAD)
    for (int64_t s = 0; s < t->steps; s++) {
        const float *a = t->a + t->a_off[s], *b = t->b + t->b_off[s];
        for (int64_t d = 0; d < t->depth; d++) {
            vf b0 = v_load(b), b1 = { 0 }, b2 = { 0 }, b3 = { 0 };
            V_PIN(b0);
            if (vectors > 1) {
                b1 = v_load(b + OT_VL);
                V_PIN(b1);
            }
            if (vectors > 2) {
                b2 = v_load(b + 2 * OT_VL);
                b3 = v_load(b + 3 * OT_VL);
                V_PIN(b2);
                V_PIN(b3);
            }
            FOR_ROWS(ROW_STEP)
            for (int l = 0; l < t->lines; l++, ahead += OT_LINE)
                __builtin_prefetch(ahead, 0, 2);
            a++;
            b += vectors * OT_VL;
        }
    }
    if (t->bounds.clamp) {
        const vf lo = v_set(t->bounds.lo), hi = v_set(t->bounds.hi);
        FOR_ROWS(ROW_STORE)
    } else {
        FOR_ROWS(ROW_STORE_AS_IS)
    }
}

/* Rows that are one or two blocks apart, as nearly all are, have fixed offsets. */
OT_INLINE void by_stride(const int rows, const int vectors, const block_tile *t)
{
    if (t->a_row == OT_BLOCK)
        micro(rows, vectors, OT_BLOCK, t);
    else
        micro(rows, vectors, t->a_row, t);
}

typedef void micro_fn(const block_tile *t);

#define DEFINE_FOR(i, v)                                                                                               \
    static void micro_##i##_##v(const block_tile *t)                                                                   \
    {                                                                                                                  \
        by_stride(i + 1, v, t);                                                                                        \
    }
#if OT_VL == 16
#define DEFINE(i) DEFINE_FOR(i, 1) DEFINE_FOR(i, 2)
FOR_ROWS(DEFINE)
DEFINE_FOR(0, 4)
DEFINE_FOR(1, 4)
DEFINE_FOR(2, 4)
DEFINE_FOR(3, 4)
DEFINE_FOR(4, 4)
DEFINE_FOR(5, 4)
DEFINE_FOR(6, 4)
#define NAME1(i) micro_##i##_1,
#define NAME2(i) micro_##i##_2,
static micro_fn *const table[5][MOST_ROWS] = {
    [1] = { FOR_ROWS(NAME1) },
    [2] = { FOR_ROWS(NAME2) },
    [4] = { micro_0_4, micro_1_4, micro_2_4, micro_3_4, micro_4_4, micro_5_4, micro_6_4 },
};
#elif OT_VL == 8
#define DEFINE(i) DEFINE_FOR(i, 2)
FOR_ROWS(DEFINE)
#define NAME2(i)  micro_##i##_2,
static micro_fn *const table[2][MOST_ROWS] = { [1] = { FOR_ROWS(NAME2) } };
#else
#define DEFINE(i) DEFINE_FOR(i, 4)
FOR_ROWS(DEFINE)
#define NAME4(i)  micro_##i##_4,
static micro_fn *const table[2][MOST_ROWS] = { [1] = { FOR_ROWS(NAME4) } };
#endif

void OT_K(ot_block_micro)(int rows, int blocks, const block_tile *t)
{
    table[blocks][rows - 1](t);
}
