#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ot_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    char name[64];
    snprintf(name, sizeof(name), "onnxtune %s", argv[0]);
    argv[0] = name;                            /* in argp's help and getopt's messages */
    setenv("ARGP_HELP_FMT", "rmargin=100", 0); /* so that a line of advice stays one line */
    argp_err_exit_status = OT_EXIT_USAGE;
    argp_parse(argp, argc, argv, ARGP_NO_HELP, NULL, input);
    argv[0] = NULL;
}

void ot_usage(const struct argp_state *state, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ot_tool_error("%s", text);
    ot_tool_advice("`%s --help` lists the options", state ? state->name : "onnxtune");
    exit(OT_EXIT_USAGE);
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

int64_t ot_arg_int(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        ot_usage(state, "--%s: '%s' is no whole number", option, text);
    if (v < min || v > max)
        ot_usage(state, "--%s: %lld is not in %lld..%lld", option, v, (long long)min, (long long)max);
    return v;
}

uint64_t ot_arg_u64(const struct argp_state *state, const char *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        ot_usage(state, "--%s: '%s' is no whole number from 0 to 2^64-1", option, text);
    return v;
}

static double real(const struct argp_state *state, const char *option, const char *text, double min, double max,
                   const char **rest)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || (*end && *end != ',') || !isfinite(v))
        ot_usage(state, "--%s: '%s' is no number", option, text);
    if (v < min || v > max)
        ot_usage(state, "--%s: %g is not in %g..%g", option, v, min, max);
    *rest = end;
    return v;
}

double ot_arg_real(const struct argp_state *state, const char *option, const char *text, double min, double max)
{
    const char *rest;
    double v = real(state, option, text, min, max, &rest);
    if (*rest)
        ot_usage(state, "--%s: '%s' is a list, one number is taken", option, text);
    return v;
}

int ot_arg_reals(const struct argp_state *state, const char *option, const char *text, double min, double max, int most,
                 double *out)
{
    const char *p = text;
    for (int n = 0; n < most; p++) {
        out[n++] = real(state, option, p, min, max, &p);
        if (!*p)
            return n;
    }
    ot_usage(state, "--%s: '%s' has more than %d numbers", option, text, most);
    return 0;
}

int ot_arg_ints(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max,
                int most, int64_t *out)
{
    double v[64];
    int n = ot_arg_reals(state, option, text, (double)min, (double)max, most < 64 ? most : 64, v);
    for (int i = 0; i < n; i++) {
        if (v[i] != floor(v[i]))
            ot_usage(state, "--%s: %g is no whole number", option, v[i]);
        out[i] = (int64_t)v[i];
    }
    return n;
}

size_t ot_arg_size(const struct argp_state *state, const char *option, const char *text)
{
    static const char units[] = "KMGT";
    char *end;
    double v = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
    if (unit) {
        v = ldexp(v, 10 * (int)(unit - units + 1));
        end++;
        if (*end == 'i')
            end++;
        if (*end == 'B')
            end++;
    }
    if (end == text || *end || !(v >= 1) || v > 9e18)
        ot_usage(state, "--%s: '%s' is no size in bytes (4096, 512K, 1.5G)", option, text);
    return (size_t)v;
}

int ot_arg_word(const struct argp_state *state, const char *option, const char *text, const char *const *words)
{
    char list[256] = "";
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", words[i]);
    }
    ot_usage(state, "--%s: '%s' is none of %s", option, text, list);
    return 0;
}

const char *ot_arg_pair(const struct argp_state *state, const char *option, const char *text, const char **name)
{
    const char *at = strrchr(text, '=');
    if (!at || at == text || !at[1])
        ot_usage(state, "--%s: '%s' has not the form NAME=VALUE", option, text);
    char *copy = ot_tool_calloc((size_t)(at - text) + 1, 1);
    memcpy(copy, text, (size_t)(at - text));
    *name = copy;
    return at + 1;
}

void ot_arg_dims(const struct argp_state *state, const char *option, const char *text, ot_tensor *out)
{
    *out = (ot_tensor){ .dtype = OT_FLOAT };
    for (const char *p = text;; p++) {
        char *end;
        errno = 0;
        long long v = strtoll(p, &end, 10);
        if (end == p || errno || v < 0 || (*end && *end != 'x') || out->rank == OT_MAX_RANK)
            ot_usage(state, "--%s: '%s' is no shape such as 1x3x224x224", option, text);
        out->dim[out->rank++] = v;
        p = end;
        if (!*p)
            return;
    }
}

void ot_take_model(const struct argp_state *state, const char *arg, const char *does, const char **model)
{
    if (*model)
        ot_usage(state, "one model %s at a time, '%s' is a second", does, arg);
    *model = arg;
}

void ot_need_model(const struct argp_state *state, const char *model)
{
    if (!model)
        ot_usage(state, "the model is missing");
}

void ot_need_data(const struct argp_state *state, const char *dir)
{
    if (!dir)
        ot_usage(state, "--data DIR is missing: the folder of pictures");
}

void ot_need_output(const struct argp_state *state, const char *file, const char *what)
{
    if (!file)
        ot_usage(state, "-o FILE is missing: where %s goes", what);
}

void ot_strings_add(ot_strings *l, const char *s)
{
    l->s = ot_tool_grow(l->s, l->n, sizeof(*l->s));
    l->s[l->n++] = s;
}

void ot_arg_shape(const struct argp_state *state, const char *text, ot_strings *names, ot_tensor **shape)
{
    const char *name, *dims = ot_arg_pair(state, "shape", text, &name);
    *shape = ot_tool_grow(*shape, names->n, sizeof(**shape));
    ot_arg_dims(state, "shape", dims, &(*shape)[names->n]);
    ot_strings_add(names, name);
}

/* ---- The common block --------------------------------------------------------------------------------------- */

enum { DEVICE = OT_KEY_COMMON, THREADS, SEED, MEMORY, FAST, JSON, QUIET, USAGE };

static const struct argp_option common_options[] = {
    { NULL, 0, NULL, 0, "Common options:", 90 },
    { "device", DEVICE, "NAME", 0, "where it runs: cpu (default: cpu)", 0 },
    { "threads", THREADS, "N", 0, "threads of the arithmetic (default: the physical cores it may use)", 0 },
    { "seed", SEED, "S", 0, "of all random numbers (default: 42)", 0 },
    { "memory", MEMORY, "SIZE", 0, "cap on memory, in bytes or with K, M, G (default: none)", 0 },
    { "fast", FAST, NULL, 0, "may give up the same bits for speed (no effect yet on the CPU)", 0 },
    { "json", JSON, NULL, 0, "print one JSON value on stdout and nothing else there", 0 },
    { "quiet", QUIET, NULL, 0, "only results and errors", 0 },
    { "help", 'h', NULL, 0, "this text", -1 },
    { "usage", USAGE, NULL, OPTION_HIDDEN, NULL, -1 },
    { 0 }
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    ot_common_args *a = state->input;
    switch (key) {
    case DEVICE:
        if (strncmp(arg, "cuda", 4) == 0) {
            ot_tool_error("--device %s: this build has no CUDA", arg);
            exit(OT_EXIT_FAILED);
        }
        if (strcmp(arg, "cpu") != 0)
            ot_usage(state, "--device: '%s' is none of cpu, cuda, cuda:N", arg);
        return 0;
    case THREADS:
        a->threads = (int)ot_arg_int(state, "threads", arg, 1, 1024);
        return 0;
    case SEED:
        a->seed = ot_arg_u64(state, "seed", arg);
        return 0;
    case MEMORY:
        a->memory = ot_arg_size(state, "memory", arg);
        return 0;
    case FAST:
        a->fast = true;
        return 0;
    case JSON:
        a->json = true;
        return 0;
    case QUIET:
        a->quiet = true;
        ot_tool_set_quiet(true);
        return 0;
    case 'h':
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        return 0;
    case USAGE:
        argp_state_help(state, stdout, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ot_common_argp = { .options = common_options, .parser = parse_common };

/* ---- The image block ---------------------------------------------------------------------------------------- */

enum { SIZE = OT_KEY_IMAGE, MEAN, STD, CHANNELS, RANGE, LAYOUT };

static const struct argp_option image_options[] = {
    { NULL, 0, NULL, 0, "Pictures (default: as the model's metadata says, else as ImageNet's models want it):", 50 },
    { "size", SIZE, "PIXELS", 0, "side of the square that the model sees (default: 224)", 0 },
    { "mean", MEAN, "R,G,B", 0, "is subtracted, in units of the range (default: .485,.456,.406)", 0 },
    { "std", STD, "R,G,B", 0, "divides, in units of the range (default: .229,.224,.225)", 0 },
    { "channels", CHANNELS, "ORDER", 0, "rgb or bgr (default: rgb)", 0 },
    { "range", RANGE, "MAX", 0, "of a pixel's value: 1 or 255 (default: 1)", 0 },
    { "layout", LAYOUT, "AXES", 0, "nchw or nhwc (default: nchw)", 0 },
    { 0 }
};

static void three(const struct argp_state *state, const char *option, const char *text, double min, float *out)
{
    double v[3];
    int n = ot_arg_reals(state, option, text, min, 1e6, 3, v);
    if (n == 2)
        ot_usage(state, "--%s: '%s' has two numbers, one or three are taken", option, text);
    for (int i = 0; i < 3; i++)
        out[i] = (float)v[n == 3 ? i : 0];
}

static error_t parse_image(int key, char *arg, struct argp_state *state)
{
    static const char *const orders[] = { "rgb", "bgr", NULL }, *const ranges[] = { "1", "255", NULL },
                             *const layouts[] = { "nchw", "nhwc", NULL };
    ot_image_args *a = state->input;
    switch (key) {
    case SIZE:
        a->size = ot_arg_int(state, "size", arg, 1, 65536);
        return 0;
    case MEAN:
        three(state, "mean", arg, -1e6, a->mean);
        a->has_mean = true;
        return 0;
    case STD:
        three(state, "std", arg, 1e-9, a->std);
        a->has_std = true;
        return 0;
    case CHANNELS:
        a->bgr = ot_arg_word(state, "channels", arg, orders) == 1;
        a->has_channels = true;
        return 0;
    case RANGE:
        a->range = ot_arg_word(state, "range", arg, ranges) == 1 ? 255 : 1;
        a->has_range = true;
        return 0;
    case LAYOUT:
        a->nhwc = ot_arg_word(state, "layout", arg, layouts) == 1;
        a->has_layout = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ot_image_argp = { .options = image_options, .parser = parse_image };

/* Mean and deviation stay those of the same colours when order or range are changed. */
static void change_channels(ot_image_spec *s, const ot_image_args *a)
{
    if (a->has_channels && a->bgr != s->bgr) {
        float mean = s->mean[0], std = s->std[0];
        s->mean[0] = s->mean[2];
        s->mean[2] = mean;
        s->std[0] = s->std[2];
        s->std[2] = std;
        s->bgr = a->bgr;
    }
    if (a->has_range && a->range != s->range) {
        for (int i = 0; i < 3; i++) {
            s->mean[i] *= a->range / s->range;
            s->std[i] *= a->range / s->range;
        }
        s->range = a->range;
    }
}

int ot_image_spec_from_args(ot_image_spec *out, const ot_image_args *a, const ot_model *m, const char *path)
{
    ot_status st = ot_image_spec_from_model(out, m);
    if (st != OT_OK)
        return ot_tool_failed(st, path);
    if (a->size) {
        out->size = a->size;
        out->resize = 0;
    }
    change_channels(out, a);
    for (int i = 0; i < 3; i++) {
        if (a->has_mean)
            out->mean[i] = a->mean[i];
        if (a->has_std)
            out->std[i] = a->std[i];
    }
    if (a->has_layout)
        out->nhwc = a->nhwc;
    return OT_EXIT_OK;
}
