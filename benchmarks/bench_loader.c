/* What pictures cost to load: bench_loader FOLDER [SECONDS].
 *
 * Times one thread that loads the training pictures of a data folder as `tune` does, without augmentation and side-on:
 * milliseconds of processor time a picture, the least over passes of 64 pictures. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "onnxtune.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PASS 64

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int measure(const char *folder, ot_augment how, const char *name, double seconds)
{
    ot_folder_options o = OT_FOLDER_INIT;
    ot_dataset *d;
    double least = 1e9, end;
    int64_t at = 0, label;
    o.augment = how;
    if (ot_folder_open(&d, folder, &o) != OT_OK) {
        fprintf(stderr, "bench_loader: %s\n", ot_last_error());
        return 1;
    }
    float *sample = malloc((size_t)(d->dim[0] * d->dim[1] * d->dim[2]) * sizeof(float));
    end = now(CLOCK_MONOTONIC) + seconds;
    do {
        double t = now(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < PASS && sample; i++, at++)
            if (d->load(d->ctx, OT_TRAIN, at % d->count[OT_TRAIN], true, (uint64_t)at, sample, &label) != OT_OK) {
                fprintf(stderr, "bench_loader: %s\n", ot_last_error());
                return 1;
            }
        t = (now(CLOCK_THREAD_CPUTIME_ID) - t) / PASS;
        least = t < least ? t : least;
    } while (now(CLOCK_MONOTONIC) < end);
    printf("%-10s %7.3f ms a picture\n", name, 1e3 * least);
    free(sample);
    ot_dataset_close(d);
    return 0;
}

int main(int argc, char **argv)
{
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_loader FOLDER [SECONDS]\n");
        return 2;
    }
    return measure(argv[1], OT_AUGMENT_NONE, "none", seconds) ||
           measure(argv[1], OT_AUGMENT_SIDE_ON, "side-on", seconds);
}
