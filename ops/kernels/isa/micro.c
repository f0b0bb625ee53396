#include "micro.h"

#if OT_VL == 16
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#elif OT_VL == 8
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5)
#else
#define FOR_ROWS(X) X(0) X(1) X(2) X(3)
#endif

#define ROW_LOAD(i)                                                                                                    \
    vf c##i = { 0 }, d##i = { 0 };                                                                                     \
    if (rows > i && more) {                                                                                            \
        c##i = *(const vf *)(tile + i * tile_row);                                                                     \
        if (vectors > 1)                                                                                               \
            d##i = *(const vf *)(tile + i * tile_row + OT_VL);                                                         \
    }
#define ROW_STEP(i)                                                                                                    \
    if (rows > i) {                                                                                                    \
        c##i += a[i] * b0;                                                                                             \
        if (vectors > 1)                                                                                               \
            d##i += a[i] * b1;                                                                                         \
    }
#define ROW_STORE(i)                                                                                                   \
    if (rows > i) {                                                                                                    \
        *(vf *)(tile + i * tile_row) = c##i;                                                                           \
        if (vectors > 1)                                                                                               \
            *(vf *)(tile + i * tile_row + OT_VL) = d##i;                                                               \
    }

OT_INLINE void micro(const int rows, const int vectors, int64_t depth, const float *a, const float *b, int64_t b_row,
                     float *tile, int64_t tile_row, bool more)
{
    FOR_ROWS(ROW_LOAD)
    for (int64_t p = 0; p < depth; p++) {
        vf b0 = *(const vf *)b, b1 = { 0 };
        V_PIN(b0);
        if (vectors > 1) {
            b1 = *(const vf *)(b + OT_VL);
            V_PIN(b1);
        }
        FOR_ROWS(ROW_STEP)
        a += rows;
        b += b_row;
    }
    FOR_ROWS(ROW_STORE)
}

typedef void micro_fn(int64_t depth, const float *a, const float *b, int64_t b_row, float *tile, int64_t tile_row,
                      bool more);

#define DEFINE(i)                                                                                                      \
    static void micro_##i##_1(int64_t depth, const float *a, const float *b, int64_t b_row, float *tile,               \
                              int64_t tile_row, bool more)                                                             \
    {                                                                                                                  \
        micro(i + 1, 1, depth, a, b, b_row, tile, tile_row, more);                                                     \
    }                                                                                                                  \
    static void micro_##i##_2(int64_t depth, const float *a, const float *b, int64_t b_row, float *tile,               \
                              int64_t tile_row, bool more)                                                             \
    {                                                                                                                  \
        micro(i + 1, 2, depth, a, b, b_row, tile, tile_row, more);                                                     \
    }
#define NAME(i) { micro_##i##_1, micro_##i##_2 },

FOR_ROWS(DEFINE)
static micro_fn *const table[OT_MR][2] = { FOR_ROWS(NAME) };

void OT_K(ot_micro)(int rows, int vectors, int64_t depth, const float *a, const float *b, int64_t b_row, float *tile,
                    int64_t tile_row, bool more)
{
    table[rows - 1][vectors - 1](depth, a, b, b_row, tile, tile_row, more);
}
