#include "svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH  640
#define HEIGHT 400
#define LEFT   60
#define RIGHT  20
#define TOP    40
#define BOTTOM 50

typedef struct axes {
    double x0, x1, y0, y1; /* x as logarithms to base 10 */
} axes;

static double at_x(const axes *a, double x)
{
    return LEFT + (log10(x) - a->x0) / (a->x1 - a->x0) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const axes *a, double y)
{
    double share = (y - a->y0) / (a->y1 - a->y0);
    return HEIGHT - BOTTOM - (share > 1 ? 1 : share) * (HEIGHT - TOP - BOTTOM);
}

static axes find_axes(int64_t n, const double *x, const double *y)
{
    axes a = { log10(x[0]), log10(x[n - 1]), INFINITY, -INFINITY };
    double begin = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        a.y0 = fmin(a.y0, y[i]);
        a.y1 = fmax(a.y1, y[i]);
        if (i <= n / 10)
            begin = fmax(begin, y[i]);
    }
    a.y1 = fmin(a.y1, a.y0 + 2 * fmax(begin - a.y0, 1e-12));
    if (!(a.x1 > a.x0))
        a.x1 = a.x0 + 1;
    if (!(a.y1 > a.y0))
        a.y1 = a.y0 + 1;
    return a;
}

/* 1, 2 or 5 times a power of ten: about five steps over the range. */
static double nice_step(double range)
{
    double raw = range / 5, power = pow(10, floor(log10(raw)));
    return raw / power < 1.5 ? power : raw / power < 3.5 ? 2 * power : raw / power < 7.5 ? 5 * power : 10 * power;
}

static void put_axes(FILE *f, const axes *a, const char *x_label, const char *y_label)
{
    double step = nice_step(a->y1 - a->y0);
    for (double e = ceil(a->x0 - 1e-9); e <= a->x1 + 1e-9; e++) {
        double x = at_x(a, pow(10, e));
        fprintf(f,
                "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                x, TOP, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 18, pow(10, e));
    }
    for (double v = ceil(a->y0 / step) * step; v <= a->y1 + 1e-12; v += step) {
        double y = at_y(a, v);
        fprintf(f,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, fabs(v) < 1e-12 ? 0 : v);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12,
            x_label);
    fprintf(f, "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, y_label);
}

static void put_curve(FILE *f, const axes *a, int64_t n, const double *x, const double *y, double mark)
{
    fprintf(f, "<path class=\"curve\" d=\"");
    for (int64_t i = 0; i < n; i++)
        fprintf(f, "%c%.1f %.1f", i ? 'L' : 'M', at_x(a, x[i]), at_y(a, y[i]));
    fprintf(f, "\"/>\n");
    if (mark < x[0] || mark > x[n - 1])
        return;
    fprintf(f,
            "<path class=\"mark\" d=\"M%.1f %dV%d\"/><text class=\"marked\" x=\"%.1f\" y=\"%d\" "
            "text-anchor=\"middle\">%.2g</text>\n",
            at_x(a, mark), TOP, HEIGHT - BOTTOM, at_x(a, mark), TOP - 4, mark);
}

ot_status ot_svg_log_curve(const char *path, const char *title, const char *x_label, const char *y_label, int64_t n,
                           const double *x, const double *y, double mark)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return ot_set_error(OT_ENOMEM, "out of memory: a picture");
    axes a = find_axes(n, x, y);
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n"
            "<style>text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd;fill:none}.curve{stroke:#06c;fill:none;"
            "stroke-width:2}.mark{stroke:#c30;stroke-dasharray:4 3}.marked{fill:#c30}</style>\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
            "<text x=\"%d\" y=\"18\" text-anchor=\"middle\">%s</text>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH / 2, title);
    put_axes(f, &a, x_label, y_label);
    put_curve(f, &a, n, x, y, mark);
    fprintf(f, "</svg>\n");
    ot_status st = fclose(f) == 0 ? ot_file_write(path, text, size) : ot_set_error(OT_ENOMEM, "out of memory");
    free(text);
    return st;
}
