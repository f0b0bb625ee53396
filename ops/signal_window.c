/* HannWindow, HammingWindow, BlackmanWindow: size -> a window of so many elements, of the type output_datatype;
 * periodic: as the first elements of a symmetric one that is longer by one. MelWeightMatrix: (num_mel_bins, dft_length,
 * sample_rate, lower_edge_hertz, upper_edge_hertz) -> triangles of height 1 over the dft_length / 2 + 1 elements of a
 * spectrum, one a column, evenly spread on the mel scale. */
#include "axes.h"
#include "run.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* output_datatype: an integer of 8 bits or more, or a float type. */
static ot_status output_type(const ot_infer *c, ot_dtype *t)
{
    const int64_t v = ot_attr_int(c->node, "output_datatype", OT_FLOAT);
    *t = v > 0 && v <= OT_BFLOAT16 ? (ot_dtype)v : OT_UNDEFINED;
    if ((!ot_dtype_is_int(*t) && *t != OT_FLOAT && *t != OT_DOUBLE && *t != OT_FLOAT16 && *t != OT_BFLOAT16) ||
        ot_dtype_size(*t) == 0)
        return ot_fail(OT_EMODEL, "output_datatype is %lld", (long long)v);
    return OT_OK;
}

/* The element of the scalar input i; unknown where it is not known. */
static ot_status known_scalar(ot_infer *c, int i, ot_dim *v)
{
    int n;
    OT_TRY(ot_rank_between(c, i, 0, 1));
    OT_TRY(ot_known_ints(c, i, 1, v, &n));
    if (n == 0)
        return ot_fail(OT_ESHAPE, "input %d is empty", i);
    if (n < 0)
        *v = ot_dim_unknown(c);
    else if (!ot_is_symbol(*v) && *v < 0)
        return ot_fail(OT_ESHAPE, "input %d is %lld", i, (long long)*v);
    return OT_OK;
}

static ot_status window_infer(ot_infer *c)
{
    ot_dtype t;
    ot_dim n;
    OT_TRY(output_type(c, &t));
    OT_TRY(known_scalar(c, 0, &n));
    ot_set_shape(&c->y[0], t, 1, &n);
    return OT_OK;
}

/* Element i of a tensor; integers are cut. */
static void put(ot_tensor *y, int64_t i, double v)
{
    ot_tensor_set(y, i, ot_dtype_is_int(y->dtype) ? trunc(v) : v);
}

static ot_status window_run(const ot_run *r)
{
    const char kind = r->node->op->name[1]; /* Hann and Hamming differ at 2 */
    const bool hamming = r->node->op->name[2] == 'm';
    ot_tensor *y = &r->y[0];
    const int64_t n = y->dim[0], whole = ot_attr_int(r->node, "periodic", 1) ? n : n - 1;
    for (int64_t i = 0; i < n; i++) {
        const double x = whole ? 2 * PI * (double)i / (double)whole : PI;
        if (kind == 'l')
            put(y, i, 0.42 - 0.5 * cos(x) + 0.08 * cos(2 * x));
        else if (hamming)
            put(y, i, 25. / 46 - 21. / 46 * cos(x));
        else
            put(y, i, sin(x / 2) * sin(x / 2));
    }
    return OT_OK;
}

/* ---- MelWeightMatrix ------------------------------------------------------------------------------------------- */

static ot_status mel_infer(ot_infer *c)
{
    ot_dtype t;
    ot_dim bins, length, rate;
    OT_TRY(output_type(c, &t));
    OT_TRY(known_scalar(c, 0, &bins));
    OT_TRY(known_scalar(c, 1, &length));
    OT_TRY(known_scalar(c, 2, &rate));
    for (int i = 3; i < 5; i++) {
        OT_TRY(ot_rank_between(c, i, 0, 1));
        OT_TRY(ot_needs_float(c, i));
        if (c->x[i]->rank == 1 && c->x[i]->dim[0] == 0)
            return ot_fail(OT_ESHAPE, "input %d is empty", i);
    }
    ot_set_shape(&c->y[0], t, 2, (const ot_dim[]){ ot_dim_add(c, ot_dim_div(c, length, 2), 1), bins });
    return OT_OK;
}

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

static ot_status mel_run(const ot_run *r)
{
    ot_tensor *y = &r->y[0];
    const int64_t rows = y->dim[0], bins = y->dim[1];
    const double length = (double)ot_tensor_get_int(&r->x[1], 0), rate = (double)ot_tensor_get_int(&r->x[2], 0);
    const double low = mel_of(ot_tensor_get(&r->x[3], 0)), high = mel_of(ot_tensor_get(&r->x[4], 0));
    const double step = (high - low) / ((double)bins + 2);
    memset(y->data, 0, ot_tensor_bytes(y));
    for (int64_t b = 0; b < bins; b++) {
        double edge[3]; /* left, middle, right */
        for (int k = 0; k < 3; k++) {
            const double hertz = 700 * (pow(10, (low + (double)(b + k) * step) / 2595) - 1);
            edge[k] = floor((length + 1) * hertz / rate);
        }
        if (!(edge[0] >= 0 && edge[1] < (double)rows && edge[2] <= (double)rows && edge[0] <= edge[1] &&
              edge[1] <= edge[2]))
            return ot_fail(OT_EDATA, "band %lld goes from element %g over %g to %g of %lld", (long long)b, edge[0],
                           edge[1], edge[2], (long long)rows);
        const double up = edge[1] - edge[0], down = edge[2] - edge[1];
        for (int64_t i = (int64_t)edge[0]; i <= (int64_t)edge[1]; i++)
            if (up > 0 || (double)i == edge[1])
                put(y, i * bins + b, up > 0 ? ((double)i - edge[0]) / up : 1);
        for (int64_t i = (int64_t)edge[1]; i < (int64_t)edge[2]; i++)
            put(y, i * bins + b, (edge[2] - (double)i) / down);
    }
    return OT_OK;
}

static const ot_kernel window_kernels[] = { { .name = "loop", .run = window_run }, { 0 } };
static const ot_kernel mel_kernels[] = { { .name = "loop", .run = mel_run }, { 0 } };

#define SOURCE(Name, inputs, rule, kernels)                                                                            \
    const ot_op ot_op_##Name = { .domain = "",                                                                         \
                                 .name = #Name,                                                                        \
                                 .since = 17,                                                                          \
                                 .until = OT_LATEST,                                                                   \
                                 .min_in = (inputs),                                                                   \
                                 .max_in = (inputs),                                                                   \
                                 .min_out = 1,                                                                         \
                                 .max_out = 1,                                                                         \
                                 .infer = (rule),                                                                      \
                                 .grad = ot_grad_none,                                                                 \
                                 .cpu = (kernels) }

SOURCE(HannWindow, 1, window_infer, window_kernels);
SOURCE(HammingWindow, 1, window_infer, window_kernels);
SOURCE(BlackmanWindow, 1, window_infer, window_kernels);
SOURCE(MelWeightMatrix, 5, mel_infer, mel_kernels);
