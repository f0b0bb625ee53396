/* Mean and deviation of each channel over the pictures of a data folder. */
#include "base/alloc.h"
#include "onnxtune.h"

#include <math.h>

typedef struct sums {
    double sum[3], squares[3];
    int64_t pixels;
} sums;

/* A sample with channels first. */
static void add(sums *s, const float *sample, int64_t plane)
{
    for (int c = 0; c < 3; c++) {
        double sum = 0, squares = 0;
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            sum += (double)sample[i];
            squares += (double)sample[i] * (double)sample[i];
        }
        s->sum[c] += sum;
        s->squares[c] += squares;
    }
    s->pixels += plane;
}

static ot_status run(sums *s, ot_loader *l, const ot_dataset *d)
{
    ot_batch b;
    int64_t plane = d->dim[1] * d->dim[2];
    OT_TRY(ot_loader_start(l, 0, 0));
    do {
        OT_TRY(ot_loader_next(l, &b));
        for (int64_t i = 0; i < b.n; i++)
            add(s, b.samples + i * 3 * plane, plane);
    } while (b.n);
    return OT_OK;
}

ot_status ot_folder_statistics(ot_image_spec *spec, const char *dir, const ot_folder_options *o)
{
    ot_folder_options own = *o;
    ot_dataset *d;
    ot_loader *l = NULL;
    sums s = { .pixels = 0 };
    ot_loader_options lo = OT_LOADER_INIT;
    own.spec = *spec;
    own.spec.nhwc = false;
    for (int c = 0; c < 3; c++) {
        own.spec.mean[c] = 0;
        own.spec.std[c] = 1;
    }
    lo.augment = lo.shuffle = false;
    lo.threads = o->threads;
    OT_TRY(ot_folder_open(&d, dir, &own));
    ot_status st = ot_loader_create(&l, d, &lo);
    if (st == OT_OK)
        st = run(&s, l, d);
    ot_loader_close(l);
    ot_dataset_close(d);
    OT_TRY(st);
    for (int c = 0; c < 3; c++) {
        double mean = s.sum[c] / (double)s.pixels, var = s.squares[c] / (double)s.pixels - mean * mean;
        spec->mean[c] = (float)mean;
        spec->std[c] = var > 1e-12 ? (float)sqrt(var) : 1;
    }
    return OT_OK;
}
