/* Rows, element by element, and their sums. */
#include "../rows.h"
#include "table.h"

#define BLOCK 4096 /* floats that are summed in float lanes */

void OT_K(ot_row_relu)(int64_t n, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void OT_K(ot_row_relu_grad)(int64_t n, const float *y, const float *dy, float *dx)
{
    for (int64_t i = 0; i < n; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

void OT_K(ot_row_clip)(int64_t n, float lo, float hi, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] < lo ? lo : x[i];
        y[i] = v > hi ? hi : v;
    }
}

void OT_K(ot_row_add)(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void OT_K(ot_row_sub)(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

void OT_K(ot_row_mul)(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

void OT_K(ot_row_scale)(int64_t n, float scale, float shift, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * x[i] + shift;
}

void OT_K(ot_row_axpy)(int64_t n, float a, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

/* Four vectors of sums, added in a fixed order. */
double OT_K(ot_row_sum)(int64_t n, const float *x)
{
    double sum = 0;
    for (int64_t b = 0; b < n; b += BLOCK) {
        int64_t end = k_min(n, b + BLOCK), i = b;
        vf s[4] = { 0 };
        float rest = 0;
        for (; i + 4 * OT_VL <= end; i += 4 * OT_VL)
            for (int j = 0; j < 4; j++)
                s[j] += v_load(x + i + j * OT_VL);
        for (; i < end; i++)
            rest += x[i];
        sum += (double)v_sum((s[0] + s[1]) + (s[2] + s[3])) + (double)rest;
    }
    return sum;
}

double OT_K(ot_row_dot)(int64_t n, const float *a, const float *b)
{
    double sum = 0;
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t end = k_min(n, at + BLOCK), i = at;
        vf s[4] = { 0 };
        float rest = 0;
        for (; i + 4 * OT_VL <= end; i += 4 * OT_VL)
            for (int j = 0; j < 4; j++)
                s[j] += v_load(a + i + j * OT_VL) * v_load(b + i + j * OT_VL);
        for (; i < end; i++)
            rest += a[i] * b[i];
        sum += (double)v_sum((s[0] + s[1]) + (s[2] + s[3])) + (double)rest;
    }
    return sum;
}
