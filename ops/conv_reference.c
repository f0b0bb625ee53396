/* Convolutions in double, by their definition. */
#include "conv_shape.h"

#include <string.h>

struct reference {
    const ot_conv_size *s;
    const double *a, *b; /* the two inputs */
    double *y;
};

/* One sum: output channel k of picture n at o. */
static double one_output(const struct reference *f, int64_t n, int64_t k, const int64_t *o)
{
    const ot_window *w = &f->s->win;
    const int64_t cg = f->s->c / f->s->group, taps = ot_window_size(w, w->kernel), plane = ot_window_size(w, w->in);
    const double *from = f->a + (n * f->s->c + k / (f->s->k / f->s->group) * cg) * plane;
    const ot_inside in = ot_window_inside(w, o);
    double sum = 0;
    for (int64_t i = 0, tap; i < in.taps; i++) {
        int64_t at = ot_inside_place(w, o, &in, i, &tap);
        for (int64_t c = 0; c < cg; c++)
            sum += from[c * plane + at] * f->b[(k * cg + c) * taps + tap];
    }
    return sum;
}

static void forward_planes(void *ctx, int64_t from, int64_t to) /* planes of y */
{
    const struct reference *f = ctx;
    const int64_t size = ot_window_size(&f->s->win, f->s->win.out);
    int64_t o[OT_MAX_SPATIAL];
    for (int64_t i = from * size; i < to * size; i++) {
        int64_t p = i / size;
        ot_unravel(f->s->win.spatial, f->s->win.out, i % size, o);
        f->y[i] = one_output(f, p / f->s->k, p % f->s->k, o);
    }
}

void ot_conv_double(const ot_run *r, const ot_conv_size *s, const double *x, const double *w, double *y)
{
    ot_for_ranges(r, s->n * s->k, 1, forward_planes, &(struct reference){ s, x, w, y });
}

static void data_planes(void *ctx, int64_t from, int64_t to) /* planes of dx */
{
    const struct reference *f = ctx;
    const ot_window *w = &f->s->win;
    const int64_t cg = f->s->c / f->s->group, kg = f->s->k / f->s->group;
    const int64_t taps = ot_window_size(w, w->kernel), plane = ot_window_size(w, w->in);
    const int64_t size = ot_window_size(w, w->out);
    int64_t o[OT_MAX_SPATIAL], tap;
    for (int64_t p = from; p < to; p++) {
        int64_t n = p / f->s->c, c = p % f->s->c, g = c / cg;
        double *dx = f->y + p * plane;
        memset(dx, 0, (size_t)plane * sizeof(*dx));
        for (int64_t i = 0; i < size; i++) {
            ot_unravel(w->spatial, w->out, i, o);
            const ot_inside in = ot_window_inside(w, o);
            for (int64_t j = 0; j < in.taps; j++) {
                int64_t at = ot_inside_place(w, o, &in, j, &tap);
                for (int64_t k = g * kg; k < (g + 1) * kg; k++)
                    dx[at] += f->a[(n * f->s->k + k) * size + i] * f->b[(k * cg + c % cg) * taps + tap];
            }
        }
    }
}

void ot_conv_data_double(const ot_run *r, const ot_conv_size *s, const double *dy, const double *w, double *dx)
{
    ot_for_ranges(r, s->n * s->c, 1, data_planes, &(struct reference){ s, dy, w, dx });
}

static void weight_channels(void *ctx, int64_t from, int64_t to) /* output channels */
{
    const struct reference *f = ctx;
    const ot_window *w = &f->s->win;
    const int64_t cg = f->s->c / f->s->group, kg = f->s->k / f->s->group;
    const int64_t taps = ot_window_size(w, w->kernel), plane = ot_window_size(w, w->in);
    const int64_t size = ot_window_size(w, w->out);
    int64_t o[OT_MAX_SPATIAL], tap;
    for (int64_t k = from; k < to; k++) {
        double *dw = f->y + k * cg * taps;
        memset(dw, 0, (size_t)(cg * taps) * sizeof(*dw));
        for (int64_t i = 0; i < size; i++) {
            ot_unravel(w->spatial, w->out, i, o);
            const ot_inside in = ot_window_inside(w, o);
            for (int64_t j = 0; j < in.taps; j++) {
                int64_t at = ot_inside_place(w, o, &in, j, &tap);
                for (int64_t n = 0; n < f->s->n; n++)
                    for (int64_t c = 0; c < cg; c++)
                        dw[c * taps + tap] +=
                            f->a[(n * f->s->k + k) * size + i] * f->b[(n * f->s->c + k / kg * cg + c) * plane + at];
            }
        }
    }
}

void ot_conv_weights_double(const ot_run *r, const ot_conv_size *s, const double *dy, const double *x, double *dw)
{
    ot_for_ranges(r, s->k, 1, weight_channels, &(struct reference){ s, dy, x, dw });
}
