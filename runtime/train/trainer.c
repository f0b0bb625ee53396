#include "train/trainer.h"
#include "train/dataset.h"
#include "train/loss.h"
#include "base/text.h"
#include "exec/explain.h"
#include "graph/dump.h"

#include <math.h>
#include <string.h>

static ot_status check_options(const ot_train_options *o)
{
    if (o->batch < 1 || o->accumulate < 1)
        return ot_fail(OT_EARG, "batch %lld and accumulate %lld, at least 1 is wanted", (long long)o->batch,
                       (long long)o->accumulate);
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1))
        return ot_fail(OT_EARG, "label smoothing %g is outside of 0..1", o->label_smoothing);
    if (!(o->momentum >= 0 && o->momentum < 1) || !(o->clip >= 0))
        return ot_fail(OT_EARG, "momentum %g (0..1) or clip %g (0 and up)", o->momentum, o->clip);
    if ((int)o->optimizer < OT_SGD || o->optimizer > OT_RMSPROP || (int)o->loss < OT_LOSS_AUTO || o->loss > OT_LOSS_BCE)
        return ot_fail(OT_EARG, "optimizer %d or loss %d is not known", (int)o->optimizer, (int)o->loss);
    if (!(o->dampening >= 0 && o->dampening <= 1) || !(o->alpha >= 0 && o->alpha < 1) || !(o->eps >= 0))
        return ot_fail(OT_EARG, "dampening %g (0..1), alpha %g (0..1) or eps %g (0 and up)", o->dampening, o->alpha,
                       o->eps);
    if (o->label_smoothing > 0 && (o->loss == OT_LOSS_MSE || o->loss == OT_LOSS_BCE || o->loss == OT_LOSS_NLL))
        return ot_fail(OT_EARG, "label smoothing goes with cross-entropy only");
    if (!(o->beta1 >= 0 && o->beta1 < 1) || !(o->beta2 >= 0 && o->beta2 < 1))
        return ot_fail(OT_EARG, "betas %g and %g, both lie in 0..1", o->beta1, o->beta2);
    return OT_OK;
}

static ot_status copy_options(ot_trainer *t, const ot_train_options *o)
{
    t->o = *o;
    if (o->checkpoint && !(t->o.checkpoint = ot_arena_strdup(&t->arena, o->checkpoint)))
        return OT_ENOMEM;
    if (o->resume && !(t->o.resume = ot_arena_strdup(&t->arena, o->resume)))
        return OT_ENOMEM;
    t->o.train = t->o.no_train = NULL; /* used at creation only */
    t->o.freeze_to = NULL;
    return OT_OK;
}

static ot_step_source source_of(const ot_trainer *t)
{
    return (ot_step_source){ .m = t->m, .ps = &t->ps, .o = &t->o, .d = t->d };
}

static ot_status make_executors(ot_trainer *t)
{
    ot_graph *g;
    ot_step_source s = source_of(t);
    ot_executor_opts eo = {
        .store = t->store, .threads = t->threads, .workspace = &t->workspace, .memory = t->o.memory, .timed = t->o.timed
    };
    OT_TRY(ot_frozen_create(&t->frozen, &s, &eo));
    OT_TRY(ot_frozen_step(&g, t->frozen, &s, t->o.accumulate > 1 ? OT_STEP_FINISH : OT_STEP_WHOLE));
    OT_TRY(ot_executor_create(&t->step, g, &eo));
    if (t->o.accumulate > 1) {
        OT_TRY(ot_frozen_step(&g, t->frozen, &s, OT_STEP_GATHER));
        OT_TRY(ot_executor_create(&t->gather, g, &eo));
    }
    OT_TRY(ot_frozen_eval(&g, t->frozen, &s));
    return ot_executor_create(&t->eval, g, &eo);
}

static ot_status make_loaders(ot_trainer *t)
{
    ot_loader_options l = OT_LOADER_INIT;
    l.split = OT_TRAIN;
    l.batch = t->o.batch;
    l.augment = t->o.augment;
    l.seed = t->o.seed;
    l.threads = t->o.loaders;
    l.variants = t->o.cache_variants;
    OT_TRY(ot_loader_create(&t->train, t->d, &l));
    t->batches = ot_loader_batches(t->train);
    if (t->d->count[OT_VALID] < 1)
        return OT_OK;
    l.split = OT_VALID;
    l.augment = false;
    l.shuffle = false;
    return ot_loader_create(&t->valid, t->d, &l);
}

/* The step's inputs: the batch, the target, scalars. */
static ot_status make_inputs(ot_trainer *t)
{
    const ot_graph *g = ot_executor_graph(t->step);
    t->input = ot_arena_calloc(&t->arena, (size_t)g->n_input, sizeof(*t->input));
    if (!t->input)
        return OT_ENOMEM;
    t->input[1 + OT_STEP_NUMBER] = (ot_tensor){ .dtype = OT_INT64, .data = &t->number };
    t->input[1 + OT_STEP_T] = (ot_tensor){ .dtype = OT_INT64, .data = &t->t };
    t->input[1 + OT_STEP_FIRST] = (ot_tensor){ .dtype = OT_INT64, .data = &t->first };
    for (int i = 0; i < t->ps.groups; i++)
        t->input[1 + OT_STEP_LR + i] = (ot_tensor){ .dtype = OT_FLOAT, .data = &t->rate[i] };
    if (!ot_loss_wants_floats(t->o.loss))
        return OT_OK;
    const ot_fact *f = &g->value[g->input[1 + OT_STEP_TARGET]].fact;
    if (f->rank != 2 || ot_is_symbol(f->dim[1]))
        return ot_fail(OT_EUNSUPPORTED, "the number of outputs is not known before the model runs");
    t->input[1] = (ot_tensor){ .dtype = OT_FLOAT, .rank = 2, .dim = { 0, f->dim[1] } };
    size_t cells;
    if (!ot_mul(&cells, (size_t)t->o.batch, (size_t)f->dim[1]))
        return ot_fail(OT_ENOMEM, "a batch of %lld times %lld outputs", (long long)t->o.batch, (long long)f->dim[1]);
    t->targets = ot_calloc(cells, sizeof(*t->targets));
    return t->targets ? OT_OK : OT_ENOMEM;
}

/* The batch itself, or what the frozen part makes of it: then the first value takes the samples' place, the others come
 * last. */
static ot_status set_samples(ot_trainer *t, const ot_batch *b)
{
    const ot_tensor *in;
    int64_t n_input = ot_executor_graph(t->step)->n_input;
    if (!t->frozen) {
        t->input[0] = ot_batch_tensor(t->d, b);
        return OT_OK;
    }
    OT_TRY(ot_frozen_inputs(&in, t->frozen, b));
    t->input[0] = in[0];
    for (int64_t i = 1; i < t->frozen->n; i++)
        t->input[n_input - t->frozen->n + i] = in[i];
    return OT_OK;
}

/* Sets the inputs for a batch; samples and labels may be NULL while only planning. */
static ot_status set_batch(ot_trainer *t, const ot_batch *b)
{
    ot_tensor *target = &t->input[1 + OT_STEP_TARGET];
    OT_TRY(set_samples(t, b));
    if (!t->targets) {
        *target = (ot_tensor){ .dtype = OT_INT64, .rank = 1, .dim = { b->rows } };
        memcpy(&target->data, &b->labels, sizeof(b->labels)); /* only read */
        return OT_OK;
    }
    int64_t c = target->dim[1];
    target->dim[0] = b->n;
    target->data = t->targets;
    for (int64_t i = 0; i < b->n && b->labels; i++)
        for (int64_t k = 0; k < c; k++)
            t->targets[i * c + k] = c == 1 ? (float)b->labels[i] : (float)(b->labels[i] == k);
    return OT_OK;
}

static ot_status create(ot_trainer *t, const ot_train_options *o)
{
    OT_TRY(check_options(o));
    OT_TRY(copy_options(t, o));
    if (t->d->text && ot_loss_wants_floats(o->loss))
        return ot_fail(OT_EARG, "text goes with cross-entropy, not with this loss");
    if (t->d->count[OT_TRAIN] < 1)
        return ot_fail(OT_EDATA, "there are no samples to train on");
    OT_TRY(ot_parameters_find(&t->ps, t->m, o));
    OT_TRY(ot_threads_create(&t->threads, o->threads));
    OT_TRY(ot_store_create(&t->store));
    OT_TRY(make_executors(t));
    OT_TRY(make_loaders(t));
    int64_t steps = t->batches / o->accumulate + (t->batches % o->accumulate != 0);
    OT_TRY(ot_schedule_init(&t->schedule, o, steps));
    OT_TRY(make_inputs(t));
    const ot_batch usual = ot_usual_batch(t->d, o->batch);
    OT_TRY(set_batch(t, &usual));
    if (t->gather)
        OT_TRY(ot_executor_prepare(t->gather, t->input));
    OT_TRY(ot_executor_prepare(t->step, t->input));
    t->at.best = -1;
    if (o->checkpoint || o->resume)
        OT_TRY(ot_checkpoint_fingerprint(t));
    if (o->resume)
        OT_TRY(ot_checkpoint_load(t, o->resume));
    return ot_cache_decide(t);
}

ot_status ot_trainer_create(ot_trainer **out, ot_model *m, const ot_dataset *d, const ot_train_options *o)
{
    *out = NULL;
    ot_trainer *t = ot_calloc(1, sizeof(*t));
    if (!t)
        return OT_ENOMEM;
    t->m = m;
    t->d = d;
    ot_status st = create(t, o);
    if (st == OT_OK)
        *out = t;
    else
        ot_trainer_close(t);
    return st;
}

void ot_trainer_close(ot_trainer *t)
{
    if (!t)
        return;
    ot_loader_close(t->train);
    ot_loader_close(t->valid);
    ot_executor_close(t->step);
    ot_executor_close(t->gather);
    ot_executor_close(t->eval);
    ot_frozen_close(t->frozen);
    ot_feature_set_close(t->features);
    ot_store_close(t->store);
    ot_threads_close(t->threads);
    ot_workspace_release(&t->workspace);
    ot_parameters_release(&t->ps);
    ot_model_close(t->best);
    ot_free(t->targets);
    ot_free(t->last_saved);
    ot_free(t->saved_before);
    ot_arena_release(&t->arena);
    ot_free(t);
}

void ot_trainer_stop(ot_trainer *t)
{
    atomic_store(&t->stop, 1);
}

void ot_trainer_snapshot(ot_trainer *t)
{
    atomic_store(&t->snapshot, 1);
}

static void clear_sums(ot_trainer *t)
{
    for (int64_t i = 0; i < t->store->n; i++) {
        const ot_slot *s = &t->store->slot[i];
        if (strncmp(s->name, OT_STEP_SUM "/", sizeof(OT_STEP_SUM)) == 0)
            memset(s->tensor.data, 0, ot_tensor_bytes(&s->tensor));
    }
}

/* A loss that is not finite is left out. */
static double average_loss(ot_progress *at, double loss)
{
    if (isfinite(loss)) {
        at->average = 0.98 * at->average + 0.02 * loss;
        at->averaged++;
    }
    return at->averaged ? at->average / (1 - pow(0.98, (double)at->averaged)) : loss;
}

ot_status ot_trainer_batch(ot_trainer *t, const ot_batch *b, bool last_of_epoch, ot_event *e)
{
    bool finishes = !t->gather || last_of_epoch || b->last || (t->at.batch + 1) % t->o.accumulate == 0;
    ot_executor *x = finishes ? t->step : t->gather;
    t->number = t->at.batches_done;
    t->t = t->at.t - t->at.skipped + 1;
    t->first = t->t == 1;
    OT_TRY(set_batch(t, b));
    OT_TRY(ot_executor_run(x, t->input));
    double loss = ot_tensor_get(ot_executor_output(x, OT_STEP_LOSS), 0) * (t->gather ? (double)t->o.accumulate : 1);
    e->batch_loss = loss;
    e->skipped = false;
    if (finishes) {
        e->grad_norm = ot_tensor_get(ot_executor_output(x, OT_STEP_NORM), 0);
        e->skipped = !isfinite(e->grad_norm);
        t->at.skipped += e->skipped;
        t->at.t++;
        if (t->gather)
            clear_sums(t);
    }
    t->at.batches_done++;
    e->loss = average_loss(&t->at, loss);
    return OT_OK;
}

/* An initialiser, or the value of a Constant node. */
static ot_status write_one(ot_model *m, const char *name, const ot_tensor *value)
{
    if (ot_model_find_initializer(m, name))
        return ot_model_set_initializer(m, name, value, 0);
    for (size_t i = 0; i < m->proto->graph->n_node; i++) {
        const Onnx__NodeProto *n = m->proto->graph->node[i];
        if (n->n_output == 1 && strcmp(ot_text(n->output[0]), name) == 0 && n->n_attribute == 1 && n->attribute[0]->t)
            return ot_model_set_tensor(m, n->attribute[0]->t, value, 0);
    }
    return ot_fail(OT_EUNSUPPORTED, "the trained values of '%s' have no tensor to go to", name);
}

ot_status ot_trainer_write_back(const ot_trainer *t, ot_model *m)
{
    for (int64_t i = 0; i < t->store->n; i++) {
        const ot_slot *s = &t->store->slot[i];
        if (ot_strmap_get(&t->ps.slots, s->name, -1) >= 0)
            OT_TRY(write_one(m, s->name, &s->tensor));
    }
    return OT_OK;
}

ot_status ot_trainer_model(ot_model **out, const ot_trainer *t)
{
    OT_TRY(ot_model_clone(out, t->m));
    ot_status st = ot_trainer_write_back(t, *out);
    if (st == OT_OK)
        return OT_OK;
    ot_model_close(*out);
    *out = NULL;
    return st;
}

/* ---- What is known before anything runs
 * ------------------------------------------------------------------------------ */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The frozen part and the rest take turns in one block of memory; the features between them lie apart. */
static ot_status memory_of(ot_memory *out, const ot_trainer *t)
{
    ot_memory z;
    OT_TRY(ot_executor_memory(t->step, out));
    if (!t->frozen)
        return OT_OK;
    const ot_features *f = t->frozen->f;
    OT_TRY(ot_executor_memory(f->e, &z));
    out->weights += z.weights;
    out->activations = larger(out->activations, z.activations) +
                       (size_t)t->input[0].dim[0] * (size_t)f->floats * sizeof(float) * (t->frozen->apart ? 2 : 1);
    out->workspace = larger(out->workspace, z.workspace);
    out->steps += z.steps;
    return OT_OK;
}

ot_status ot_trainer_plan(const ot_trainer *t, ot_train_plan *out)
{
    *out = (ot_train_plan){ .layers = t->ps.layers,
                            .first_layer = t->ps.first_layer,
                            .groups = t->ps.groups,
                            .epochs = t->schedule.epochs,
                            .steps = t->schedule.steps,
                            .batches = t->batches };
    for (int64_t i = 0; i < t->ps.n; i++) {
        out->parameters += t->ps.p[i].elements;
        out->trained += t->ps.p[i].trains ? t->ps.p[i].elements : 0;
    }
    for (int64_t i = 0; i < t->ps.layers; i++) {
        out->batchnorms += t->ps.bn[i] != OT_BN_NONE;
        out->bn_training += t->ps.bn[i] == OT_BN_TRAINS;
    }
    memcpy(out->group_layer, t->ps.group_layer, sizeof(out->group_layer));
    return memory_of(&out->memory, t);
}

ot_status ot_trainer_explain(char **out, const ot_trainer *t)
{
    char *text[2] = { NULL, NULL };
    ot_text_buf b = { 0 };
    *out = NULL;
    if (!t->frozen)
        return ot_explain(out, t->step);
    ot_status st = ot_explain(&text[0], t->frozen->f->e);
    if (st == OT_OK)
        st = ot_explain(&text[1], t->step);
    if (st == OT_OK) {
        ot_text_put(&b, "the frozen part, in parts of %lld samples:\n%s", (long long)t->frozen->f->part, text[0]);
        ot_text_put(&b, "the rest:\n%s", text[1]);
        st = ot_text_take(out, &b);
    }
    ot_free(text[0]);
    ot_free(text[1]);
    return st;
}

ot_status ot_trainer_step(const ot_trainer *t, int64_t i, ot_step_info *out)
{
    const ot_features *f = t->frozen ? t->frozen->f : NULL;
    int64_t before = f ? ot_executor_plan(f->e)->n_step : 0;
    if (i < 0 || i >= before)
        return ot_explain_step(out, t->step, i < 0 ? i : i - before);
    OT_TRY(ot_explain_step(out, f->e, i));
    out->parts = (double)t->input[0].dim[0] / (double)f->part;
    out->seconds *= out->parts;
    out->macs *= out->parts;
    return OT_OK;
}

ot_status ot_trainer_save_graph(const ot_trainer *t, const char *path)
{
    ot_graph *g;
    ot_step_source s = source_of(t);
    OT_TRY(ot_frozen_step(&g, NULL, &s, t->o.accumulate > 1 ? OT_STEP_FINISH : OT_STEP_WHOLE));
    ot_status st = ot_graph_save(g, path);
    ot_graph_close(g);
    return st;
}

bool ot_trainer_layer_trains(const ot_trainer *t, int64_t layer)
{
    return ot_trainer_layer_lr(t, layer) > 0;
}

ot_bn_mode ot_trainer_layer_bn(const ot_trainer *t, int64_t layer)
{
    return layer >= 0 && layer < t->ps.layers ? t->ps.bn[layer] : OT_BN_NONE;
}

double ot_trainer_layer_lr(const ot_trainer *t, int64_t layer)
{
    for (int64_t i = 0; i < t->ps.n; i++)
        if (t->ps.p[i].layer == layer && t->ps.p[i].trains)
            return t->ps.lr[t->ps.p[i].group];
    return 0;
}
