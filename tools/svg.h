/* A curve as an SVG picture that needs nothing else. */
#ifndef OT_TOOLS_SVG_H
#define OT_TOOLS_SVG_H

#include "tool.h"

/* y over x on a logarithmic axis, both of n > 1 finite points, x > 0 and growing; a mark at x = mark where that is in
 * range.  Values of y above the first tenth's highest times 2 are cut off, so that the fall can be seen. */
ot_status ot_svg_log_curve(const char *path, const char *title, const char *x_label, const char *y_label, int64_t n,
                           const double *x, const double *y, double mark);

#endif
