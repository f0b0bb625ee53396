/* The product over places, in registers. */
#include "block_outer.h"

#if OT_VL == 16
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#elif OT_VL == 8
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5)
#else
#define FOR_ROWS(X) X(0) X(1)
#endif

/* Vector j of a row of c, and of b. */
#define C_AT(i, j) (t->c + (i)*t->c_row + (j)*OT_VL)
#define B_AT(j)    ((j) / OT_BLOCK_VECTORS * t->b_block + (j) % OT_BLOCK_VECTORS * OT_VL)

#define ROW_LOAD(i)                                                                                                    \
    vf c##i##_0 = { 0 }, c##i##_1 = { 0 }, c##i##_2 = { 0 }, c##i##_3 = { 0 };                                         \
    if (rows > i && t->more) {                                                                                         \
        c##i##_0 = v_load(C_AT(i, 0));                                                                                 \
        if (vectors > 1)                                                                                               \
            c##i##_1 = v_load(C_AT(i, 1));                                                                             \
        if (vectors > 2) {                                                                                             \
            c##i##_2 = v_load(C_AT(i, 2));                                                                             \
            c##i##_3 = v_load(C_AT(i, 3));                                                                             \
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
#define ROW_STORE(i)                                                                                                   \
    if (rows > i) {                                                                                                    \
        v_store(C_AT(i, 0), c##i##_0);                                                                                 \
        if (vectors > 1)                                                                                               \
            v_store(C_AT(i, 1), c##i##_1);                                                                             \
        if (vectors > 2) {                                                                                             \
            v_store(C_AT(i, 2), c##i##_2);                                                                             \
            v_store(C_AT(i, 3), c##i##_3);                                                                             \
        }                                                                                                              \
    }

OT_INLINE void outer(const int rows, const int vectors, const int64_t row, const outer_tile *t)
{
    FOR_ROWS(ROW_LOAD)
    for (int64_t s = 0; s < t->steps; s++) {
        const float *a = t->a + t->a_off[s], *b = t->b + t->b_off[s];
        for (int64_t d = 0; d < t->depth; d++) {
            vf b0 = v_load(b), b1 = { 0 }, b2 = { 0 }, b3 = { 0 };
            V_PIN(b0);
            if (vectors > 1) {
                b1 = v_load(b + B_AT(1));
                V_PIN(b1);
            }
            if (vectors > 2) {
                b2 = v_load(b + B_AT(2));
                b3 = v_load(b + B_AT(3));
                V_PIN(b2);
                V_PIN(b3);
            }
            FOR_ROWS(ROW_STEP)
            a += t->a_step;
            b += t->b_step;
        }
    }
    FOR_ROWS(ROW_STORE)
}

OT_INLINE void by_row(const int rows, const int vectors, const outer_tile *t)
{
    if (t->a_row == 1)
        outer(rows, vectors, 1, t);
    else
        outer(rows, vectors, t->a_row, t);
}

typedef void outer_fn(const outer_tile *t);

#define DEFINE_FOR(i, v)                                                                                               \
    static void outer_##i##_##v(const outer_tile *t)                                                                   \
    {                                                                                                                  \
        by_row(i + 1, v, t);                                                                                           \
    }
#if OT_VL == 16
#define DEFINE(i) DEFINE_FOR(i, 1) DEFINE_FOR(i, 2)
#define NAME(i)   { outer_##i##_1, outer_##i##_2 },
#elif OT_VL == 8
#define DEFINE(i) DEFINE_FOR(i, 2)
#define NAME(i)   { outer_##i##_2 },
#else
#define DEFINE(i) DEFINE_FOR(i, 4)
#define NAME(i)   { outer_##i##_4 },
#endif

FOR_ROWS(DEFINE)
static outer_fn *const table[OUTER_ROWS][OUTER_BLOCKS] = { FOR_ROWS(NAME) };

void OT_K(ot_block_outer)(int rows, int blocks, const outer_tile *t)
{
    table[rows - 1][blocks - 1](t);
}

void OT_K(ot_block_outer_panel)(int64_t rows, int64_t blocks, const outer_tile *t)
{
    int64_t parts = k_ceil(rows, OUTER_ROWS);
    for (int64_t k = 0; k < blocks; k += OUTER_BLOCKS)
        for (int64_t i = 0; i < parts; i++) {
            int64_t r = k_cut(rows, parts, i);
            outer_tile u = *t;
            u.a += r * t->a_row;
            u.b += k * t->b_block;
            u.c += r * t->c_row + k * OT_BLOCK;
            OT_K(ot_block_outer)((int)(k_cut(rows, parts, i + 1) - r), (int)k_min(OUTER_BLOCKS, blocks - k), &u);
        }
}
