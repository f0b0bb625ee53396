/* The one-dimensional Winograd transforms.  F(4, 3) uses the points 0, a, -a, b, -b and infinity with a = 3/4 and b =
 * 3/2, whose powers are exact in float32; F(2, 3) uses 0, 1, -1 and infinity.  Arguments are arrays of any vector type.
 */
#ifndef OT_KERNELS_WINOGRAD_POINTS_H
#define OT_KERNELS_WINOGRAD_POINTS_H

#define WINO_A1   0.75f
#define WINO_B1   1.5f
#define WINO_A2   (WINO_A1 * WINO_A1)
#define WINO_B2   (WINO_B1 * WINO_B1)
#define WINO_AABB (WINO_A2 * WINO_B2)
#define WINO_SUM2 (WINO_A2 + WINO_B2)

/* B' of six inputs: what each point sees. */
#define WINO4_INPUT(t, d)                                                                                              \
    do {                                                                                                               \
        t[5] = d[4] - WINO_B2 * d[2];                                                                                  \
        t[2] = WINO_A1 * (d[3] - WINO_B2 * d[1]);                                                                      \
        t[1] = t[5] + t[2];                                                                                            \
        t[2] = t[5] - t[2];                                                                                            \
        t[5] = d[4] - WINO_A2 * d[2];                                                                                  \
        t[4] = WINO_B1 * (d[3] - WINO_A2 * d[1]);                                                                      \
        t[3] = t[5] + t[4];                                                                                            \
        t[4] = t[5] - t[4];                                                                                            \
        t[0] = WINO_AABB * d[0] - WINO_SUM2 * d[2] + d[4];                                                             \
        t[5] = WINO_AABB * d[1] - WINO_SUM2 * d[3] + d[5];                                                             \
    } while (0)

/* A' of six products: four outputs in y[0 .. 3]; y has six elements. */
#define WINO4_OUTPUT(y, m)                                                                                             \
    do {                                                                                                               \
        y[0] = m[1] + m[2];                                                                                            \
        y[1] = m[1] - m[2];                                                                                            \
        y[2] = m[3] + m[4];                                                                                            \
        y[3] = m[3] - m[4];                                                                                            \
        y[5] = WINO_A2 * y[0] + WINO_B2 * y[2];                                                                        \
        y[0] = m[0] + y[0] + y[2];                                                                                     \
        y[2] = y[5];                                                                                                   \
        y[5] = (WINO_A2 * WINO_A1) * y[1] + (WINO_B2 * WINO_B1) * y[3] + m[5];                                         \
        y[1] = WINO_A1 * y[1] + WINO_B1 * y[3];                                                                        \
        y[3] = y[5];                                                                                                   \
    } while (0)

/* The same for at most two outputs, which see four inputs: points 0, a, -a and infinity, in t[0 .. 2] and t[5]. Factors
 * make good for the points that the filters were transformed with. */
#define WINO4_INPUT_FEW(t, d)                                                                                          \
    do {                                                                                                               \
        t[0] = WINO_AABB * d[0] - WINO_B2 * d[2];                                                                      \
        t[5] = (WINO_A2 - WINO_B2) * d[2];                                                                             \
        t[2] = ((WINO_A2 - WINO_B2) * WINO_A1) * d[1];                                                                 \
        t[1] = t[5] + t[2];                                                                                            \
        t[2] = t[5] - t[2];                                                                                            \
        t[5] = d[3] - WINO_A2 * d[1];                                                                                  \
    } while (0)

#define WINO4_OUTPUT_FEW(y, m)                                                                                         \
    do {                                                                                                               \
        y[0] = m[0] + (m[1] + m[2]);                                                                                   \
        y[1] = WINO_A1 * (m[1] - m[2]) + m[5];                                                                         \
    } while (0)

/* A of four values: what each point sees of an output. */
#define WINO4_GRADIENT(t, y)                                                                                           \
    do {                                                                                                               \
        t[5] = y[0] + WINO_A2 * y[2];                                                                                  \
        t[2] = WINO_A1 * y[1] + (WINO_A2 * WINO_A1) * y[3];                                                            \
        t[1] = t[5] + t[2];                                                                                            \
        t[2] = t[5] - t[2];                                                                                            \
        t[5] = y[0] + WINO_B2 * y[2];                                                                                  \
        t[4] = WINO_B1 * y[1] + (WINO_B2 * WINO_B1) * y[3];                                                            \
        t[3] = t[5] + t[4];                                                                                            \
        t[4] = t[5] - t[4];                                                                                            \
        t[0] = y[0];                                                                                                   \
        t[5] = y[3];                                                                                                   \
    } while (0)

/* The same of at most two outputs: points 0, a, -a and infinity. */
#define WINO4_GRADIENT_FEW(t, y)                                                                                       \
    do {                                                                                                               \
        t[0] = y[0];                                                                                                   \
        t[1] = y[0] + WINO_A1 * y[1];                                                                                  \
        t[2] = y[0] - WINO_A1 * y[1];                                                                                  \
        t[5] = y[1];                                                                                                   \
    } while (0)

/* G' of six sums: three taps. */
#define WINO4_TAPS(g, u)                                                                                               \
    do {                                                                                                               \
        const float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;                                                       \
        const float na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2));                                      \
        __typeof__(u[0]) even_a = na * (u[1] + u[2]), odd_a = (a * na) * (u[1] - u[2]);                                \
        __typeof__(u[0]) even_b = nb * (u[3] + u[4]), odd_b = (b * nb) * (u[3] - u[4]);                                \
        g[0] = (1 / (a2 * b2)) * u[0] + even_a + even_b;                                                               \
        g[1] = odd_a + odd_b;                                                                                          \
        g[2] = a2 * even_a + b2 * even_b + u[5];                                                                       \
    } while (0)

#define WINO2_INPUT(t, d)                                                                                              \
    do {                                                                                                               \
        t[0] = d[0] - d[2];                                                                                            \
        t[1] = d[1] + d[2];                                                                                            \
        t[2] = d[2] - d[1];                                                                                            \
        t[3] = d[3] - d[1];                                                                                            \
    } while (0)

#define WINO2_OUTPUT(y, m)                                                                                             \
    do {                                                                                                               \
        y[0] = m[0] + m[1] + m[2];                                                                                     \
        y[1] = m[1] - m[2] + m[3];                                                                                     \
    } while (0)

#define WINO_NA (1 / (2 * 0.5625 * (0.5625 - 2.25)))
#define WINO_NB (1 / (2 * 2.25 * (2.25 - 0.5625)))

/* G, in double: rows are points, columns taps. */
static const double wino_filter4[6][3] = {
    { 1 / (0.5625 * 2.25), 0, 0 },
    { WINO_NA, 0.75 * WINO_NA, 0.5625 * WINO_NA },
    { WINO_NA, -0.75 * WINO_NA, 0.5625 * WINO_NA },
    { WINO_NB, 1.5 * WINO_NB, 2.25 * WINO_NB },
    { WINO_NB, -1.5 * WINO_NB, 2.25 * WINO_NB },
    { 0, 0, 1 },
};
static const double wino_filter2[4][3] = { { 1, 0, 0 }, { 0.5, 0.5, 0.5 }, { 0.5, -0.5, 0.5 }, { 0, 0, 1 } };

#endif
