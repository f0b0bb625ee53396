/* A checkpoint is the model itself with its trained weights, plus: the optimiser's state as state variables of
 * training_info, and where the run was in two metadata entries, as lines "name value" with exact (hexadecimal) numbers.
 * FOLDER/latest names the newest file and is renamed into place last, so that a kill at any moment leaves a whole one.
 */
#include "train/checkpoint_folder.h"
#include "train/trainer.h"
#include "base/file.h"
#include "base/text.h"
#include "graph/layers.h"
#include "model/edit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OPTIONS_KEY  "onnxtune.checkpoint.options"
#define PROGRESS_KEY "onnxtune.checkpoint.progress"

/* Everything that must be the same for a resumed run to be the run that was stopped. */
static ot_status options_text(char **out, const ot_trainer *t)
{
    const ot_train_options *o = &t->o;
    ot_text_buf b = { 0 };
    ot_text_put(
        &b, "optimizer %d\nmomentum %a\ndampening %a\nnesterov %d\nbeta1 %a\nbeta2 %a\nalpha %a\neps %a\nclip %a\n",
        (int)o->optimizer, o->momentum, o->dampening, o->nesterov, o->beta1, o->beta2, o->alpha, o->eps, o->clip);
    ot_text_put(&b, "loss %d\nlabel-smoothing %a\n", (int)o->loss, o->label_smoothing);
    ot_text_put(&b,
                "schedule %d\ncycle-len %lld\ncycle-mult %lld\nlr-min %a\nwarmup %lld\ndecay-every %lld\ndecay %a\n",
                (int)o->schedule, (long long)t->schedule.cycle_len, (long long)t->schedule.cycle_mult, o->lr_min,
                (long long)o->warmup, (long long)o->decay_every, o->decay);
    ot_text_put(&b, "cycle-steps %lld\ncompat-2017 %d\n", (long long)o->cycle_steps, o->compat_2017);
    ot_text_put(&b, "batch %lld\naccumulate %lld\naugment %d\nseed %llu\nsamples %lld\nclasses %lld\n",
                (long long)o->batch, (long long)o->accumulate, o->augment, (unsigned long long)o->seed,
                (long long)t->d->count[OT_TRAIN], (long long)t->d->classes);
    ot_text_put(&b, "steps %lld\n", (long long)t->schedule.steps);
    if (o->augment && o->cache_variants)
        ot_text_put(&b, "variants %lld\n", (long long)o->cache_variants);
    ot_text_put(&b, "trained %016llx\nfrozen %016llx\n", (unsigned long long)t->trained_hash,
                (unsigned long long)t->frozen_hash);
    if (t->d->text)
        ot_text_put(&b, "text %016llx\n", (unsigned long long)t->d->mark);
    ot_text_put(&b, "first-layer %lld\nbn-freeze %d\n", (long long)t->ps.first_layer, o->bn_freeze);
    for (int i = 0; i < t->ps.groups; i++)
        ot_text_put(&b, "group-%d layer %lld rate %a decay %a\n", i, (long long)t->ps.group_layer[i], t->ps.lr[i],
                    t->ps.wd[i]);
    return ot_text_take(out, &b);
}

static ot_status progress_text(char **out, const ot_progress *p)
{
    ot_text_buf b = { 0 };
    ot_text_put(&b, "epoch %lld\nbatch %lld\nbatches-done %lld\nt %lld\nskipped %lld\naveraged %lld\n",
                (long long)p->epoch, (long long)p->batch, (long long)p->batches_done, (long long)p->t,
                (long long)p->skipped, (long long)p->averaged);
    ot_text_put(&b, "average %a\nseconds %a\nbest %a\nbest-epoch %lld\n", p->average, p->seconds, p->best,
                (long long)p->best_epoch);
    return ot_text_take(out, &b);
}

ot_status ot_checkpoint_fingerprint(ot_trainer *t)
{
    t->trained_hash = t->frozen_hash = OT_HASH_START;
    for (int64_t i = 0; i < t->ps.n; i++)
        if (t->ps.p[i].trains)
            t->trained_hash = ot_hash_bytes(t->trained_hash, t->ps.p[i].name, strlen(t->ps.p[i].name) + 1);
    for (size_t i = 0; i < t->m->proto->graph->n_initializer; i++) {
        const Onnx__TensorProto *p = t->m->proto->graph->initializer[i];
        ot_tensor view;
        bool owned;
        if (ot_strmap_get(&t->ps.slots, ot_text(p->name), -1) >= 0 || p->data_type == OT_STRING)
            continue;
        OT_TRY(ot_model_tensor(t->m, p, &view, &owned));
        t->frozen_hash = ot_hash_bytes(t->frozen_hash, ot_text(p->name), strlen(ot_text(p->name)) + 1);
        t->frozen_hash = ot_hash_bytes(t->frozen_hash, view.data, ot_tensor_bytes(&view));
        if (owned)
            ot_tensor_release(&view);
    }
    return OT_OK;
}

/* The value in the line "name value" of text; NULL when there is none. */
static const char *line_value(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && at[n] == ' ')
            return at + n + 1;
    return NULL;
}

static ot_status read_int(int64_t *out, const char *text, const char *name, int64_t least)
{
    const char *v = line_value(text, name);
    errno = 0;
    *out = v ? strtoll(v, NULL, 10) : 0;
    return v && errno == 0 && *out >= least && *out <= (int64_t)1 << 53
               ? OT_OK
               : ot_fail(OT_EMODEL, "the checkpoint's '%s' is missing or out of range", name);
}

static ot_status read_real(double *out, const char *text, const char *name)
{
    const char *v = line_value(text, name);
    *out = v ? strtod(v, NULL) : 0;
    return v ? OT_OK : ot_fail(OT_EMODEL, "the checkpoint's '%s' is missing", name);
}

static ot_status read_progress(ot_progress *p, const char *text)
{
    OT_TRY(read_int(&p->epoch, text, "epoch", 0));
    OT_TRY(read_int(&p->batch, text, "batch", 0));
    OT_TRY(read_int(&p->batches_done, text, "batches-done", 0));
    OT_TRY(read_int(&p->t, text, "t", 0));
    OT_TRY(read_int(&p->skipped, text, "skipped", 0));
    OT_TRY(read_int(&p->averaged, text, "averaged", 0));
    OT_TRY(read_int(&p->best_epoch, text, "best-epoch", 0));
    OT_TRY(read_real(&p->average, text, "average"));
    OT_TRY(read_real(&p->seconds, text, "seconds"));
    return read_real(&p->best, text, "best");
}

/* ---- Saving -------------------------------------------------------------------------------------------------------
 */

/* Each state variable is an initializer of the algorithm, and an Identity gives the value that updates it. */
static ot_status add_state(ot_model *m, Onnx__TrainingInfoProto *info, const ot_slot *s)
{
    Onnx__TensorProto *p = ot_append(&info->algorithm->base, "initializer");
    Onnx__StringStringEntryProto *bind = ot_append(&info->base, "update_binding");
    char *next = ot_malloc(strlen(s->name) + 6, 1);
    ot_status st = p && bind && next ? OT_OK : OT_ENOMEM;
    if (st == OT_OK) {
        snprintf(next, strlen(s->name) + 6, "%s.next", s->name);
        st = ot_set_string(&p->name, s->name);
    }
    if (st == OT_OK)
        st = ot_model_set_tensor(m, p, &s->tensor, OT_SET_RESHAPE);
    if (st == OT_OK)
        st = ot_set_string(&bind->key, s->name);
    if (st == OT_OK)
        st = ot_set_string(&bind->value, next);
    if (st == OT_OK &&
        !ot_append_node(info->algorithm, "Identity", next, 1, (const char *[]){ s->name }, 1, (const char *[]){ next }))
        st = OT_ENOMEM;
    ot_free(next);
    return st;
}

static ot_status add_states(const ot_trainer *t, ot_model *m)
{
    while (m->proto->n_training_info)
        ot_remove(&m->proto->base, "training_info", 0);
    Onnx__TrainingInfoProto *info = ot_append(&m->proto->base, "training_info");
    if (!info || !(info->algorithm = ot_new_message(&onnx__graph_proto__descriptor)))
        return OT_ENOMEM;
    OT_TRY(ot_set_string(&info->algorithm->name, "onnxtune.state"));
    for (int64_t i = 0; i < t->store->n; i++)
        if (ot_strmap_get(&t->ps.slots, t->store->slot[i].name, -1) < 0)
            OT_TRY(add_state(m, info, &t->store->slot[i]));
    return OT_OK;
}

static ot_status describe(const ot_trainer *t, ot_model *m)
{
    char *options, *progress;
    OT_TRY(options_text(&options, t));
    ot_status st = ot_model_set_metadata(m, OPTIONS_KEY, options);
    ot_free(options);
    OT_TRY(st);
    OT_TRY(progress_text(&progress, &t->at));
    st = ot_model_set_metadata(m, PROGRESS_KEY, progress);
    ot_free(progress);
    return st;
}

static ot_status save_model(const ot_trainer *t, const char *path)
{
    ot_model *m;
    OT_TRY(ot_model_clone(&m, t->m));
    ot_status st = ot_trainer_write_back(t, m);
    if (st == OT_OK)
        st = add_states(t, m);
    if (st == OT_OK)
        st = describe(t, m);
    if (st == OT_OK)
        st = ot_model_save(m, path);
    ot_model_close(m);
    return st;
}

static ot_status save_best(const ot_trainer *t)
{
    if (!t->best || t->at.best_epoch + 1 != t->at.epoch)
        return OT_OK;
    char *path = ot_path_join(t->o.checkpoint, "best.onnx");
    if (!path)
        return OT_ENOMEM;
    ot_status st = ot_model_save(t->best, path);
    ot_free(path);
    return st;
}

ot_status ot_checkpoint_save(ot_trainer *t, const char **saved)
{
    char name[64];
    const char *folder = t->o.checkpoint;
    *saved = NULL;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return ot_fail(OT_EIO, "%s: cannot make the folder: %s", folder, strerror(errno));
    snprintf(name, sizeof(name), "step-%lld.onnx", (long long)t->at.batches_done);
    char *path = ot_path_join(folder, name), *latest = ot_path_join(folder, "latest");
    ot_status st = path && latest ? save_best(t) : OT_ENOMEM;
    if (st == OT_OK)
        st = save_model(t, path);
    if (st == OT_OK)
        st = ot_file_write(latest, name, strlen(name));
    ot_free(latest);
    if (st != OT_OK) {
        ot_free(path);
        return ot_context(st, "checkpoint");
    }
    ot_checkpoint_forget(t, path);
    *saved = t->last_saved;
    return OT_OK;
}

/* ---- Loading ------------------------------------------------------------------------------------------------------
 */

/* The first line that differs, as an error. */
static ot_status check_same_options(const ot_trainer *t, const char *saved)
{
    char *now;
    OT_TRY(options_text(&now, t));
    ot_status st = OT_OK;
    const char *a = now, *b = saved;
    while (st == OT_OK && (*a || *b)) {
        size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");
        if (na != nb || memcmp(a, b, na) != 0)
            st = ot_fail(OT_EARG, "the checkpoint was made with '%.*s', this run has '%.*s'", (int)(nb < 80 ? nb : 80),
                         b, (int)(na < 80 ? na : 80), a);
        a += na + (a[na] == '\n');
        b += nb + (b[nb] == '\n');
    }
    ot_free(now);
    return st;
}

static const Onnx__TensorProto *find_state(const ot_model *m, const char *name)
{
    const Onnx__TensorProto *p = ot_model_find_initializer(m, name);
    for (size_t i = 0; i < m->proto->n_training_info && !p; i++) {
        const Onnx__GraphProto *g = m->proto->training_info[i]->algorithm;
        for (size_t k = 0; g && k < g->n_initializer && !p; k++)
            if (strcmp(ot_text(g->initializer[k]->name), name) == 0)
                p = g->initializer[k];
    }
    for (size_t i = 0; i < m->proto->graph->n_node && !p; i++) {
        const Onnx__NodeProto *n = m->proto->graph->node[i];
        if (!ot_is_layer(n) && n->n_output == 1 && strcmp(ot_text(n->output[0]), name) == 0 && n->n_attribute == 1)
            p = n->attribute[0]->t;
    }
    return p;
}

static ot_status restore_slot(const ot_trainer *t, const ot_model *m, const char *name)
{
    const Onnx__TensorProto *p = find_state(m, name);
    ot_tensor view;
    bool owned;
    if (!p)
        return ot_fail(OT_EMODEL, "the checkpoint lacks '%s'", name);
    OT_TRY(ot_model_tensor(m, p, &view, &owned));
    ot_status st = ot_store_set(t->store, name, &view);
    if (owned)
        ot_tensor_release(&view);
    return st;
}

static ot_status load_best(ot_trainer *t, const char *folder)
{
    if (!t->o.keep_best || t->at.best < 0)
        return OT_OK;
    char *path = ot_path_join(folder, "best.onnx");
    if (!path)
        return OT_ENOMEM;
    ot_status st = ot_model_open(&t->best, path);
    ot_free(path);
    return st;
}

static ot_status restore(ot_trainer *t, const ot_model *m)
{
    const char *options = ot_model_metadata(m, OPTIONS_KEY), *progress = ot_model_metadata(m, PROGRESS_KEY);
    if (!options || !progress)
        return ot_fail(OT_EMODEL, "this is no checkpoint: it lacks '%s'", options ? PROGRESS_KEY : OPTIONS_KEY);
    OT_TRY(check_same_options(t, options));
    OT_TRY(read_progress(&t->at, progress));
    if ((t->at.epoch > t->schedule.epochs && !t->d->text) || t->at.batch > t->batches)
        return ot_fail(OT_EMODEL, "the checkpoint stands at batch %lld of epoch %lld, the run has %lld of %lld",
                       (long long)t->at.batch, (long long)t->at.epoch, (long long)t->batches,
                       (long long)t->schedule.epochs);
    for (int64_t i = 0; i < t->store->n; i++)
        OT_TRY(restore_slot(t, m, t->store->slot[i].name));
    return OT_OK;
}

ot_status ot_checkpoint_load(ot_trainer *t, const char *folder)
{
    char *path;
    ot_model *m;
    OT_TRY(ot_checkpoint_latest(&path, folder));
    ot_status st = ot_model_open(&m, path);
    if (st == OT_OK) {
        st = restore(t, m);
        ot_model_close(m);
    }
    if (st == OT_OK)
        st = load_best(t, folder);
    if (st != OT_OK) {
        st = ot_context(st, "%s", path);
        ot_free(path);
        return st;
    }
    if (t->o.checkpoint && strcmp(t->o.checkpoint, folder) == 0) {
        ot_checkpoint_tidy(folder, path);
        t->last_saved = path;
    } else {
        ot_free(path);
    }
    return OT_OK;
}
