/* Operators of two tensors, element by element, under numpy's broadcasting. */
#ifndef OT_OPS_BROADCAST_H
#define OT_OPS_BROADCAST_H

#include "run.h"

/* One row: y[i] = f(a[i * sa], b[i * sb]) for i below n; sa, sb in elements, 0 or 1 nearly always; y may be a or b. */
typedef void ot_pair_row(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *y);

/* Output 0 from inputs 0 and 1, row by row, over the run's threads. */
void ot_for_pairs(const ot_run *r, ot_pair_row *fn);

/* As .normalise, of the operators whose broadcasting was told by attributes before opset 7: `axis` says where the dims
 * of input 1 lie among those of input 0. */
void ot_old_broadcast(ot_build *b);

/* Defines a static row function of the element type T and the result type R over x and z. */
#define OT_PAIR(name, T, R, expr)                                                                                      \
    static void name(int64_t n, const void *a_, int64_t sa, const void *b_, int64_t sb, void *y_)                      \
    {                                                                                                                  \
        const T *a = a_, *b = b_;                                                                                      \
        R *y = y_;                                                                                                     \
        if (sa == 1 && sb == 1) {                                                                                      \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                T x = a[i], z = b[i];                                                                                  \
                y[i] = (R)(expr);                                                                                      \
            }                                                                                                          \
        } else if (sa == 1 && sb == 0) {                                                                               \
            T z = *b;                                                                                                  \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                T x = a[i];                                                                                            \
                y[i] = (R)(expr);                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                T x = a[i * sa], z = b[i * sb];                                                                        \
                y[i] = (R)(expr);                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif
