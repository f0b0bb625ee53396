#include "train/evaluate.h"
#include "train/frozen.h"
#include "train/loss.h"
#include "train/step_graph.h"

#include <math.h>
#include <string.h>

ot_tensor ot_batch_tensor(const ot_dataset *d, const ot_batch *b)
{
    if (d->text) {
        ot_tensor tokens = { .dtype = OT_INT64, .rank = 2, .dim = { b->steps, b->n } };
        if (d->batch_first)
            tokens = (ot_tensor){ .dtype = OT_INT64, .rank = 2, .dim = { b->n, b->steps } };
        memcpy(&tokens.data, &b->tokens, sizeof(b->tokens)); /* only read */
        return tokens;
    }
    ot_tensor t = { .dtype = OT_FLOAT, .rank = d->rank + 1, .dim = { b->n } };
    const float *samples = b->samples;
    memcpy(&t.dim[1], d->dim, (size_t)d->rank * sizeof(*d->dim));
    memcpy(&t.data, &samples, sizeof(samples)); /* only read */
    return t;
}

typedef struct pass {
    const ot_scoring *s;
    ot_score *out;
    double sum, batch_means;
    int64_t batches;
    float *p; /* [classes] of one sample */
    float *probability, share;
} pass;

static int64_t best_class(const float *p, int64_t classes)
{
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++)
        if (p[k] > p[best])
            best = k;
    return best;
}

static ot_status score_batch(pass *w, const ot_batch *b)
{
    const ot_dataset *d = w->s->d;
    ot_tensor x = ot_batch_tensor(d, b);
    const ot_tensor *in = &x;
    if (w->s->frozen)
        OT_TRY(ot_frozen_inputs(&in, w->s->frozen, b));
    OT_TRY(ot_executor_run(w->s->e, in));
    const ot_tensor *y = ot_executor_output(w->s->e, 0);
    if (y->rank != 2 || y->dim[0] != b->rows || y->dtype != OT_FLOAT)
        return ot_fail(OT_ESHAPE, "%lld samples give scores of %s", (long long)b->rows, OT_DIMS(y->rank, y->dim));
    int64_t c = y->dim[1];
    if (c != d->classes && !(c == 1 && d->classes == 2))
        return ot_fail(OT_ESHAPE, "the model gives %lld classes, the data has %lld", (long long)c,
                       (long long)d->classes);
    double sum = 0;
    for (int64_t i = 0; i < b->rows; i++) {
        sum += ot_sample_loss(w->s->loss, (const float *)y->data + i * c, c, b->labels[i], d->classes, w->p);
        w->out->correct += best_class(w->p, d->classes) == b->labels[i];
        for (int64_t k = 0; k < d->classes && w->probability; k++)
            w->probability[b->indices[i] * d->classes + k] += w->share * w->p[k];
    }
    w->sum += sum;
    w->batch_means += sum / (double)b->rows;
    w->batches++;
    w->out->samples += b->rows;
    return OT_OK;
}

ot_status ot_score_pass(ot_score *out, const ot_scoring *s, uint64_t epoch, float *probability, float share)
{
    pass w = { .s = s, .out = out, .probability = probability, .share = share };
    *out = (ot_score){ 0 };
    w.p = ot_calloc((size_t)s->d->classes + 1, sizeof(*w.p));
    ot_status st = w.p ? ot_loader_start(s->loader, epoch, 0) : OT_ENOMEM;
    while (st == OT_OK) {
        ot_batch b;
        st = ot_loader_next(s->loader, &b);
        if (st != OT_OK || b.n == 0)
            break;
        st = score_batch(&w, &b);
        bool go_on = !s->progress || s->progress(s->ctx, out->samples, s->total);
        if (st == OT_OK && (!go_on || (s->stop && atomic_load(s->stop))))
            st = ot_fail(OT_ESTOPPED, "stopped after %lld samples", (long long)out->samples);
    }
    out->loss = w.sum / (double)out->samples;
    out->loss_unweighted = w.batch_means / (double)w.batches;
    ot_free(w.p);
    return st;
}

/* ---- ot_evaluate ---------------------------------------------------------------------------------------------------
 */

typedef struct evaluation {
    ot_threads *threads;
    ot_store *store;
    ot_workspace workspace;
    ot_executor *e;
    ot_loader *loader;
} evaluation;

static void release(evaluation *v)
{
    ot_loader_close(v->loader);
    ot_executor_close(v->e);
    ot_store_close(v->store);
    ot_threads_close(v->threads);
    ot_workspace_release(&v->workspace);
}

static ot_status open_loader(evaluation *v, const ot_dataset *d, const ot_eval_options *o, bool augment)
{
    ot_loader_options l = OT_LOADER_INIT;
    l.split = o->split;
    l.batch = o->batch;
    l.augment = augment;
    l.shuffle = false;
    l.seed = o->seed;
    l.threads = o->loaders;
    ot_loader_close(v->loader);
    v->loader = NULL;
    return ot_loader_create(&v->loader, d, &l);
}

static ot_status prepare(evaluation *v, const ot_model *m, const ot_dataset *d, const ot_eval_options *o)
{
    ot_graph *g;
    OT_TRY(ot_threads_create(&v->threads, o->threads));
    OT_TRY(ot_store_create(&v->store));
    OT_TRY(ot_eval_graph_build(&g, m, NULL, OT_LOSS_AUTO, d->classes, o->batch));
    ot_status st = ot_graph_finish(g);
    if (st != OT_OK) {
        ot_graph_close(g);
        return st;
    }
    ot_executor_opts eo = { .store = v->store, .threads = v->threads, .workspace = &v->workspace, .memory = o->memory };
    return ot_executor_create(&v->e, g, &eo);
}

static ot_status allocate(ot_eval_result *out, const ot_dataset *d, int split)
{
    size_t n = (size_t)d->count[split], c = (size_t)d->classes;
    size_t cells;
    out->samples = d->count[split];
    out->classes = d->classes;
    if (d->text)
        return OT_OK;
    if (!ot_mul(&cells, n, c))
        return ot_fail(OT_ENOMEM, "%zu samples of %zu classes", n, c);
    out->confusion = ot_calloc(c * c, sizeof(*out->confusion));
    out->predicted = ot_calloc(n, sizeof(*out->predicted));
    out->labels = ot_calloc(n, sizeof(*out->labels));
    out->probability = ot_calloc(cells, sizeof(*out->probability));
    return out->confusion && out->predicted && out->labels && out->probability ? OT_OK : OT_ENOMEM;
}

/* n augmented passes count as much as n / 4, rounded up, plain ones: fastai's mean. */
static ot_status run_passes(ot_eval_result *out, evaluation *v, const ot_dataset *d, const ot_eval_options *o)
{
    int plain = o->tta > 0 ? (o->tta + 3) / 4 : 1;
    float total = (float)(plain + o->tta);
    ot_scoring s = {
        .e = v->e, .d = d, .loss = OT_LOSS_AUTO, .total = d->count[o->split], .progress = o->progress, .ctx = o->ctx
    };
    ot_score score;
    OT_TRY(open_loader(v, d, o, false));
    s.loader = v->loader;
    OT_TRY(ot_score_pass(&score, &s, 0, out->probability, (float)plain / total));
    out->loss = score.loss;
    out->samples = score.samples;
    out->correct = score.correct;
    out->accuracy = (double)score.correct / (double)score.samples;
    for (int i = 0; i < o->tta; i++) {
        if (i == 0)
            OT_TRY(open_loader(v, d, o, true));
        s.loader = v->loader;
        OT_TRY(ot_score_pass(&score, &s, (uint64_t)i, out->probability, 1 / total));
    }
    return OT_OK;
}

static void summarise(ot_eval_result *out, const ot_dataset *d, const ot_eval_options *o)
{
    double sum = 0;
    out->correct = 0;
    for (int64_t i = 0; i < out->samples; i++) {
        const float *p = out->probability + i * out->classes;
        int64_t label = d->label(d->ctx, o->split, i), guess = best_class(p, out->classes);
        out->labels[i] = label;
        out->predicted[i] = guess;
        if (label >= 0 && label < out->classes) {
            out->confusion[label * out->classes + guess]++;
            sum -= log((double)p[label] > 1e-15 ? (double)p[label] : 1e-15);
        }
        out->correct += guess == label;
    }
    out->accuracy = (double)out->correct / (double)out->samples;
    if (o->tta > 0)
        out->loss = sum / (double)out->samples;
}

ot_status ot_evaluate(ot_eval_result *out, const ot_model *m, const ot_dataset *d, const ot_eval_options *o)
{
    evaluation v = { 0 };
    *out = (ot_eval_result){ 0 };
    if (o->split != OT_TRAIN && o->split != OT_VALID)
        return ot_fail(OT_EARG, "split %d", o->split);
    if (d->text && o->tta)
        return ot_fail(OT_EARG, "%d augmented passes over text", o->tta);
    if (o->tta < 0 || o->tta > 1000)
        return ot_fail(OT_EARG, "%d augmented passes", o->tta);
    ot_status st = prepare(&v, m, d, o);
    if (st == OT_OK)
        st = allocate(out, d, o->split);
    if (st == OT_OK)
        st = run_passes(out, &v, d, o);
    if (st == OT_OK && !d->text)
        summarise(out, d, o);
    if (st != OT_OK)
        ot_eval_result_release(out);
    release(&v);
    return st;
}

void ot_eval_result_release(ot_eval_result *r)
{
    ot_free(r->confusion);
    ot_free(r->predicted);
    ot_free(r->labels);
    ot_free(r->probability);
    *r = (ot_eval_result){ 0 };
}
