/* A training run of the command: signals, progress, history, the result. */
#include "training.h"
#include "model_file.h"
#include "output.h"
#include "progress.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- Files of a run ----------------------------------------------------------------------------------------- */

enum { CHECKPOINT = OT_KEY_RUN, RESUME, KEEP, HISTORY };

static const struct argp_option options[] = {
    { "output", 'o', "FILE", 0, "the trained model (needed; MODEL's own name replaces it)", 0 },
    { NULL, 0, NULL, 0, "Files:", 40 },
    { "checkpoint", CHECKPOINT, "DIR", 0,
      "where the state is saved after each epoch (default: the output's name + .ckpt)", 0 },
    { "resume", RESUME, "DIR", 0, "go on from the newest checkpoint there, to the same bits", 0 },
    { "keep", KEEP, "WHICH", 0, "best (by validation accuracy) or last (default: last)", 0 },
    { "history", HISTORY, "FILE.csv", 0, "a row for each epoch", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const which[] = { "best", "last", NULL };
    ot_run_args *a = state->input;
    switch (key) {
    case 'o':
        a->out = arg;
        return 0;
    case CHECKPOINT:
        a->checkpoint = arg;
        return 0;
    case RESUME:
        a->resume = arg;
        return 0;
    case KEEP:
        a->keep_best = ot_arg_word(state, "keep", arg, which) == 0;
        return 0;
    case HISTORY:
        a->history = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ot_run_argp = { .options = options, .parser = parse };

/* ---- Signals ------------------------------------------------------------------------------------------------ */

static ot_trainer *volatile training;
static volatile sig_atomic_t stopped_by;

/* A second one ends the process at once (SA_RESETHAND). */
static void on_stop(int sig)
{
    stopped_by = sig;
    if (training)
        ot_trainer_stop(training);
}

static void on_snapshot(int sig)
{
    (void)sig;
    if (training)
        ot_trainer_snapshot(training);
}

static void catch_signals(ot_trainer *t)
{
    struct sigaction stop = { .sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND },
                     snapshot = { .sa_handler = on_snapshot, .sa_flags = SA_RESTART };
    training = t;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGUSR1, &snapshot, NULL);
}

static void release_signals(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGUSR1, SIG_IGN);
    training = NULL;
}

/* ---- Events ------------------------------------------------------------------------------------------------- */

static void show_epoch(const ot_training *s, const ot_event *e)
{
    if (s->common->json)
        return;
    ot_progress_clear();
    if (s->history.n == 1)
        printf("epoch  train loss  valid loss  accuracy      rate   time\n");
    printf("%5lld  %10.4f  ", (long long)e->epoch + 1, e->loss);
    if (isnan(e->valid_loss))
        printf("%10s  %8s", "-", "-");
    else
        printf("%10.4f  %6.2f %%", e->valid_loss, 100 * e->valid_accuracy);
    printf("  %8.3g  %5s\n", e->lr, ot_time_text(e->seconds));
    fflush(stdout);
    if (e->waited > 0.2 && e->seconds > 10)
        ot_tool_note("the step waited for %s %.0f %% of the time", s->waits_for, 100 * e->waited);
}

static void show_batch(ot_training *s, const ot_event *e)
{
    char what[64];
    bool validates = s->d->count[OT_VALID] > 0 && (e->batch == e->batches || e->step == e->steps);
    if (e->skipped && !s->last_skipped)
        ot_tool_warning("step %lld: the gradients are not finite, nothing was changed", (long long)e->step);
    s->last_skipped = e->skipped;
    snprintf(what, sizeof(what), "epoch %lld/%lld%s", (long long)e->epoch + 1, (long long)e->epochs,
             validates ? ", validating" : "");
    ot_progress_show(&(ot_progress_state){ what, e->step, e->steps, e->loss, e->lr, validates });
}

static bool on_event(void *ctx, const ot_event *e)
{
    ot_training *s = ctx;
    if (e->kind == OT_BATCH_END)
        show_batch(s, e);
    if (e->kind == OT_CACHING)
        ot_progress_show(&(ot_progress_state){ "computing features", e->batch, e->batches, NAN, NAN, false });
    if (e->kind == OT_EPOCH_END) {
        ot_history_add(&s->history, e);
        show_epoch(s, e);
    }
    if (s->after && (e->kind == OT_EPOCH_END || e->kind == OT_CYCLE_END))
        s->after(s, e);
    return true;
}

/* ---- The run ------------------------------------------------------------------------------------------------ */

static void say_plan(const ot_training *s)
{
    ot_train_plan p;
    if (ot_trainer_plan(s->t, &p) != OT_OK)
        return;
    s->say(s);
    char norms[96] = "";
    if (p.batchnorms)
        snprintf(norms, sizeof(norms), "; %lld of %lld BatchNormalization layers update", (long long)p.bn_training,
                 (long long)p.batchnorms);
    ot_tool_note("layers %lld..%lld of %lld train: %s of %s parameters%s", (long long)p.first_layer,
                 (long long)p.layers - 1, (long long)p.layers, ot_count_text(p.trained), ot_count_text(p.parameters),
                 norms);
    for (int64_t g = 1; g < p.groups; g++)
        ot_tool_note("rate group %lld begins at layer %lld", (long long)g + 1, (long long)p.group_layer[g]);
    ot_tool_note("%lld epochs, %lld steps; memory: activations %s, state %s, work space %s", (long long)p.epochs,
                 (long long)p.steps, ot_bytes_text((double)p.memory.activations), ot_bytes_text((double)p.memory.state),
                 ot_bytes_text((double)p.memory.workspace));
}

static void say_cache(const ot_training *s)
{
    ot_cache_info c;
    ot_trainer_cache(s->t, &c);
    if (c.mode == OT_CACHE_OFF) {
        if (c.layers && s->train->o.cache != OT_CACHE_OFF)
            ot_tool_note("features of the frozen layers are not kept: %s", c.why);
        return;
    }
    ot_tool_note("what the frozen layers, 0..%lld, make of %s %s is computed once and kept %s: %s numbers each, "
                 "%s in all",
                 (long long)c.layers - 1, ot_count_text(c.samples), s->waits_for,
                 c.mode == OT_CACHE_DISK ? "on the disk" : "in memory", ot_count_text(c.floats),
                 ot_bytes_text((double)c.bytes));
    if (s->train->o.augment && s->train->o.cache_variants)
        ot_tool_note("%lld variants of each for training", (long long)c.variants);
}

static void say_saved(const ot_training *s)
{
    ot_cache_info c;
    ot_trainer_cache(s->t, &c);
    if (c.mode == OT_CACHE_OFF || !c.served)
        return;
    if (c.found)
        ot_tool_note("features of %s %s were there from an earlier run", ot_count_text(c.found), s->waits_for);
    if (c.saved > 0)
        ot_tool_note("features took %.1f s to compute once, and saved about %.1f s", c.filled, c.saved);
}

static char *checkpoint_folder(const ot_run_args *a)
{
    const char *base = a->checkpoint ? a->checkpoint : a->out;
    size_t n = strlen(base) + 6;
    char *dir = ot_tool_calloc(n, 1);
    snprintf(dir, n, "%s%s", base, a->checkpoint ? "" : ".ckpt");
    return dir;
}

static int after_stop(const ot_training *s, const char *folder)
{
    ot_tool_error("%s: %s", s->model, ot_last_error());
    ot_tool_advice("the same command with --resume %s goes on", folder);
    return stopped_by == SIGTERM ? OT_EXIT_TERM : OT_EXIT_INT;
}

static int save(ot_training *s)
{
    const ot_run_args *a = s->run;
    const ot_event *last = s->history.n ? &s->history.row[s->history.n - 1] : NULL;
    ot_status st =
        ot_note_run(s->m, "%s: epochs %zu, loss %.6g, valid loss %.6g, accuracy %.6g", s->note, s->history.n,
                    last ? last->loss : NAN, last ? last->valid_loss : NAN, last ? last->valid_accuracy : NAN);
    if (st == OT_OK)
        st = ot_model_save(s->m, a->out);
    if (st != OT_OK)
        return ot_tool_failed(st, a->out);
    if (s->common->json)
        return ot_print_json(ot_history_json(&s->history, a->out)) ? OT_EXIT_OK : OT_EXIT_FAILED;
    ot_tool_note("%s written", a->out);
    return OT_EXIT_OK;
}

static int train(ot_training *s, const char *folder)
{
    const ot_run_args *a = s->run;
    ot_train_options o = ot_train_options_from_args(s->train, s->common);
    o.checkpoint = folder;
    o.resume = a->resume;
    o.keep_best = a->keep_best;
    ot_status st = ot_trainer_create(&s->t, s->m, s->d, &o);
    if (st != OT_OK)
        return ot_tool_failed(st, s->model);
    say_plan(s);
    say_cache(s);
    catch_signals(s->t);
    ot_progress_begin();
    st = ot_trainer_run(s->t, on_event, s);
    release_signals();
    ot_progress_begin();
    say_saved(s);
    int code = st == OT_ESTOPPED ? after_stop(s, folder) : st != OT_OK ? ot_tool_failed(st, s->model) : save(s);
    if (a->history && s->history.n) {
        st = ot_history_write(&s->history, a->history);
        if (st != OT_OK)
            code = ot_tool_failed(st, a->history);
    }
    return code;
}

int ot_training_run(ot_training *s)
{
    char *folder = checkpoint_folder(s->run);
    int code = train(s, folder);
    free(folder);
    return code;
}

void ot_training_close(ot_training *s)
{
    ot_trainer_close(s->t);
    ot_dataset_close(s->d);
    ot_model_close(s->m);
    free(s->history.row);
}
