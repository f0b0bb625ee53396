#include "bench.h"
#include "fill.h"
#include "progress.h"
#include "show_training.h"
#include "model_file.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS    2.0 /* of a row's timed runs, without --repeat */
#define FEWEST     5
#define MOST       1000
#define LOADS      5
#define EPOCH      64 /* batches of generated samples */
#define MOST_STEPS (1 << 24)

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- Times --------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ot_bench_add(ot_bench_times *t, double ms)
{
    t->ms = ot_tool_grow(t->ms, t->n, sizeof(*t->ms));
    t->ms[t->n++] = ms;
}

double ot_bench_min(const ot_bench_times *t)
{
    double least = t->ms[0];
    for (size_t i = 1; i < t->n; i++)
        least = fmin(least, t->ms[i]);
    return least;
}

double ot_bench_median(const ot_bench_times *t)
{
    double *sorted = ot_tool_calloc(t->n, sizeof(*sorted));
    memcpy(sorted, t->ms, t->n * sizeof(*sorted));
    qsort(sorted, t->n, sizeof(*sorted), compare);
    double median = (sorted[(t->n - 1) / 2] + sorted[t->n / 2]) / 2;
    free(sorted);
    return median;
}

/* Enough runs, the first of which began at `since`? */
static bool enough(const ot_bench_args *a, const ot_bench_times *t, double since)
{
    if (a->repeat)
        return (int64_t)t->n >= a->repeat;
    return t->n >= MOST || (t->n >= FEWEST && now_ms() - since > 1e3 * SECONDS);
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

static ot_bench_row *new_row(ot_bench *b, int64_t batch, bool train)
{
    char what[64];
    size_t per_batch = b->a->train ? 2 : 1;
    b->row = ot_tool_grow(b->row, b->n_row, sizeof(*b->row));
    ot_bench_row *row = &b->row[b->n_row++];
    row->batch = batch;
    row->train = train;
    snprintf(what, sizeof(what), "%s, batch %lld", train ? "train" : "infer", (long long)batch);
    int64_t total = (int64_t)((b->a->batches ? (size_t)b->a->batches : 1) * per_batch);
    ot_progress_show(&(ot_progress_state){
        .what = what, .done = (int64_t)b->n_row - 1, .total = total, .loss = NAN, .lr = NAN, .changed = true });
    return row;
}

static size_t planned_bytes(const ot_memory *m)
{
    return m->weights + m->state + m->packed + m->activations + m->workspace;
}

static char *copy_text(const char *s)
{
    char *copy = ot_tool_calloc(strlen(s) + 1, 1);
    return strcpy(copy, s);
}

static void add_node(ot_bench_row *row, const ot_step_info *i)
{
    row->node = ot_tool_grow(row->node, row->n_node, sizeof(*row->node));
    ot_bench_node *n = &row->node[row->n_node++];
    n->node = copy_text(i->node);
    n->op = copy_text(i->op);
    n->kernel = copy_text(i->kernel);
    memcpy(n->output, i->output, sizeof(n->output));
    n->ms = 1e3 * i->seconds;
    n->macs = i->macs;
    row->parts = i->parts;
}

void ot_bench_release(ot_bench *b)
{
    for (size_t i = 0; i < b->n_row; i++) {
        for (size_t k = 0; k < b->row[i].n_node; k++) {
            free(b->row[i].node[k].node);
            free(b->row[i].node[k].op);
            free(b->row[i].node[k].kernel);
        }
        free(b->row[i].node);
        free(b->row[i].times.ms);
    }
    free(b->row);
    free(b->load.ms);
    free(b->first.ms);
    ot_session_close(b->s);
    ot_model_close(b->m);
}

/* ---- Inputs -------------------------------------------------------------------------------------------------- */

static const ot_tensor *given_shape(const ot_bench_args *a, const char *name)
{
    for (size_t i = 0; i < a->shape_names.n; i++)
        if (strcmp(a->shape_names.s[i], name) == 0)
            return &a->shape[i];
    return NULL;
}

static int check_names(const ot_bench *b)
{
    const ot_bench_args *a = b->a;
    for (size_t i = 0; i < a->shape_names.n; i++) {
        bool known = false;
        for (int64_t k = 0; k < ot_model_input_count(b->m) && !known; k++)
            known = strcmp(ot_model_input_name(b->m, k), a->shape_names.s[i]) == 0;
        if (known)
            continue;
        const char *first = ot_model_input_name(b->m, 0);
        ot_tool_error("%s: the model has no input '%s'", a->model, a->shape_names.s[i]);
        ot_tool_advice("its first input is '%s'", first ? first : "");
        return OT_EXIT_USAGE;
    }
    return OT_EXIT_OK;
}

/* The shape of input i for a batch; 0: whatever batch it has.  *takes: the batch could be set. */
static int input_shape(const ot_bench *b, int64_t i, int64_t batch, ot_tensor *x, bool *takes)
{
    const char *name = ot_session_input_name(b->s, i);
    const ot_tensor *given = given_shape(b->a, name);
    ot_session_input(b->s, i, x);
    bool free_batch = x->rank > 0 ? x->dim[0] < 0 : x->rank < 0 && given && given->rank > 0;
    if (given) {
        x->rank = given->rank;
        memcpy(x->dim, given->dim, sizeof(given->dim));
    }
    if (batch && free_batch)
        x->dim[0] = batch;
    if (x->rank > 0 && batch && x->dim[0] == batch)
        *takes = true;
    if (ot_settle_shape(x))
        return OT_EXIT_OK;
    ot_tool_error("%s: the input '%s' is %s: --shape %s=DIMS must say its size", b->a->model, name, ot_dims_text_of(x),
                  name);
    return OT_EXIT_USAGE;
}

static void free_inputs(ot_tensor **x, int64_t n)
{
    for (int64_t i = 0; x && i < n; i++)
        ot_tensor_free(x[i]);
    free(x);
}

/* Random inputs of the batch; NULL after an error line. */
static ot_tensor **make_inputs(const ot_bench *b, int64_t batch, int *code)
{
    int64_t n = ot_session_input_count(b->s);
    ot_tensor **x = ot_tool_calloc((size_t)n, sizeof(*x)), like;
    bool takes = batch == 0;
    for (int64_t i = 0; i < n && *code == OT_EXIT_OK; i++) {
        *code = input_shape(b, i, batch, &like, &takes);
        ot_status st = *code == OT_EXIT_OK ? ot_fill_create(&x[i], &like, b->a->common.seed, (uint64_t)i) : OT_OK;
        if (st != OT_OK)
            *code = ot_tool_failed(st, b->a->model);
    }
    if (*code == OT_EXIT_OK && !takes) {
        ot_tool_error("%s: --batch %lld: no input takes another batch than %s", b->a->model, (long long)batch,
                      n ? ot_dims_text_of(x[0]) : "none");
        ot_tool_advice("`onnxtune surgery --set-batch` changes what the model takes");
        *code = OT_EXIT_USAGE;
    }
    if (*code == OT_EXIT_OK)
        return x;
    free_inputs(x, n);
    return NULL;
}

static ot_status run(const ot_bench *b, ot_tensor **x)
{
    int64_t n = ot_session_input_count(b->s);
    ot_tensor *views = ot_tool_calloc((size_t)n, sizeof(*views));
    for (int64_t i = 0; i < n; i++)
        views[i] = *x[i];
    ot_status st = ot_session_run(b->s, views, n);
    free(views);
    return st;
}

/* ---- Loading ------------------------------------------------------------------------------------------------- */

/* From the file to the first result.  The inputs are made on the way, and their time is left out. */
static int load_once(ot_bench *b)
{
    ot_session_options o = OT_SESSION_INIT;
    int code = OT_EXIT_OK;
    double start = now_ms();
    b->m = ot_open_model(b->a->model, &code);
    if (!b->m || (code = check_names(b)) != OT_EXIT_OK)
        return code;
    o.threads = b->a->common.threads;
    o.memory = b->a->common.memory;
    o.timed = b->a->profile;
    ot_status st = ot_session_create(&b->s, b->m, &o);
    if (st != OT_OK)
        return ot_tool_failed(st, b->a->model);
    double made = now_ms();
    ot_tensor **x = make_inputs(b, b->a->batches ? b->a->batch[0] : 0, &code);
    if (!x)
        return code;
    start += now_ms() - made;
    int64_t n = ot_session_input_count(b->s);
    ot_tensor *views = ot_tool_calloc((size_t)n, sizeof(*views));
    for (int64_t i = 0; i < n; i++)
        views[i] = *x[i];
    st = ot_session_prepare(b->s, views, n);
    double planned = now_ms() - start;
    if (st == OT_OK)
        st = ot_session_run(b->s, views, n);
    double first = now_ms() - start;
    free(views);
    free_inputs(x, n);
    if (st != OT_OK)
        return ot_tool_failed(st, b->a->model);
    ot_bench_add(&b->load, planned);
    ot_bench_add(&b->first, first);
    return OT_EXIT_OK;
}

int ot_bench_load(ot_bench *b)
{
    double start = now_ms();
    int code = load_once(b);
    while (code == OT_EXIT_OK && b->load.n < LOADS &&
           (b->load.n < OT_BENCH_LEAST || now_ms() - start < 1e3 * SECONDS)) {
        ot_session_close(b->s);
        ot_model_close(b->m);
        b->s = NULL;
        b->m = NULL;
        code = load_once(b);
    }
    return code;
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

static ot_status time_runs(const ot_bench *b, ot_bench_row *row, ot_tensor **x)
{
    ot_status st = run(b, x); /* plans, packs weights and touches the memory */
    for (double since = now_ms(); st == OT_OK && !enough(b->a, &row->times, since);) {
        double start = now_ms();
        st = run(b, x);
        ot_bench_add(&row->times, now_ms() - start);
    }
    return st;
}

static ot_status look_at_plan(const ot_bench *b, ot_bench_row *row)
{
    ot_memory memory;
    ot_step_info info;
    ot_status st = ot_session_memory(b->s, &memory);
    row->planned = planned_bytes(&memory);
    if (b->a->profile && st == OT_OK && ot_session_step(b->s, 0, &info) == OT_EARG) {
        ot_tool_warning("%s: no times of nodes: it runs without a plan, or has none", b->a->model);
        return OT_OK;
    }
    for (int64_t i = 0; i < memory.steps && st == OT_OK && b->a->profile; i++) {
        st = ot_session_step(b->s, i, &info);
        if (st == OT_OK)
            add_node(row, &info);
    }
    return st;
}

static int infer_row(ot_bench *b, int64_t batch)
{
    int code = OT_EXIT_OK;
    ot_tensor **x = make_inputs(b, batch, &code);
    if (!x)
        return code;
    int64_t n = ot_session_input_count(b->s);
    ot_bench_row *row = new_row(b, batch ? batch : n && x[0]->rank ? x[0]->dim[0] : 1, false);
    ot_status st = time_runs(b, row, x);
    if (st == OT_OK)
        st = look_at_plan(b, row);
    free_inputs(x, n);
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, b->a->model);
}

int ot_bench_infer(ot_bench *b)
{
    int code = OT_EXIT_OK;
    ot_progress_begin();
    for (int i = 0; i < (b->a->batches ? b->a->batches : 1) && code == OT_EXIT_OK; i++)
        code = infer_row(b, b->a->batches ? b->a->batch[i] : 0);
    ot_progress_clear();
    return code;
}

/* ---- Training steps ------------------------------------------------------------------------------------------ */

typedef struct stepping {
    const ot_bench_args *a;
    ot_bench_times *times;
    double start, since;
} stepping;

static ot_status load_sample(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample,
                             int64_t *label)
{
    const ot_dataset *d = ctx;
    int64_t n = 1;
    (void)split, (void)augment, (void)epoch;
    for (int i = 0; i < d->rank; i++)
        n *= d->dim[i];
    for (int64_t i = 0; i < n; i++)
        sample[i] = (float)((i * 7 + index) % 31) / 31 - 0.5f;
    *label = index % d->classes;
    return OT_OK;
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    (void)split;
    return index % ((const ot_dataset *)ctx)->classes;
}

/* The first step is not timed: it packs weights and touches the memory. */
static bool on_event(void *ctx, const ot_event *e)
{
    stepping *s = ctx;
    double t = now_ms();
    if (e->kind == OT_BATCH_END && e->step == 1)
        s->since = t;
    else if (e->kind == OT_BATCH_END)
        ot_bench_add(s->times, t - s->start);
    if (e->kind == OT_BATCH_END && e->step > 1 && enough(s->a, s->times, s->since))
        return false;
    s->start = now_ms();
    return true;
}

static int train_row(ot_bench *b, ot_dataset *d, int64_t batch)
{
    ot_trainer *t = NULL;
    ot_train_plan plan;
    ot_step_info info;
    ot_train_options o = OT_TRAIN_INIT;
    ot_bench_row *row = new_row(b, batch, true);
    stepping s = { .a = b->a, .times = &row->times };
    d->count[OT_TRAIN] = batch * EPOCH;
    o.batch = batch;
    o.threads = b->a->common.threads;
    o.memory = b->a->common.memory;
    o.seed = b->a->common.seed;
    o.freeze_to = b->a->freeze_to;
    o.lr[0] = 1e-6;
    o.steps = MOST_STEPS;
    o.timed = b->a->profile;
    o.augment = false;
    o.cache = OT_CACHE_OFF; /* a step is to be timed with its frozen part */
    o.loaders = 1;
    ot_status st = ot_trainer_create(&t, b->m, d, &o);
    if (st == OT_OK)
        st = ot_trainer_plan(t, &plan);
    if (st == OT_OK) {
        row->planned = planned_bytes(&plan.memory);
        st = ot_trainer_run(t, on_event, &s);
    }
    if (st == OT_ESTOPPED)
        st = OT_OK;
    for (int64_t i = 0; st == OT_OK && i < plan.memory.steps && b->a->profile; i++) {
        st = ot_trainer_step(t, i, &info);
        if (st == OT_OK)
            add_node(row, &info);
    }
    ot_trainer_close(t);
    return st == OT_OK ? OT_EXIT_OK : ot_tool_failed(st, b->a->model);
}

int ot_bench_train(ot_bench *b)
{
    ot_dataset d;
    const char *input = ot_session_input_name(b->s, 0);
    const ot_tensor *given = input ? given_shape(b->a, input) : NULL;
    int64_t own = b->row[0].batch;
    int code = OT_EXIT_OK;
    if (!ot_phantom_dataset(&d, b->m, b->s, given, b->a->model))
        return OT_EXIT_FAILED;
    d.ctx = &d;
    d.load = load_sample;
    d.label = label_of;
    ot_session_close(b->s);
    b->s = NULL;
    for (int i = 0; i < (b->a->batches ? b->a->batches : 1) && code == OT_EXIT_OK; i++)
        code = train_row(b, &d, b->a->batches ? b->a->batch[i] : own);
    ot_progress_clear();
    return code;
}
