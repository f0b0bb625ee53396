/* Stopping and going on: a run that is stopped, or killed, at any moment and resumed ends with the same bits as one
 * that is not. */
#define _DEFAULT_SOURCE
#include "harness.h"
#include "net.h"
#include "base/file.h"
#include "model/model.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t picture[] = { 3, 12, 12 };

/* conv - bn - relu - gap - flatten - dropout - gemm. */
static ot_model *with_dropout(void)
{
    net n = net_begin(3, 12, 11);
    net_conv(&n, 8, 3, 2);
    net_norm(&n);
    net_relu(&n);
    net_gap(&n);
    net_flatten(&n);
    net_dropout(&n, 0.3f);
    net_gemm(&n, 4);
    return net_done(&n);
}

static void init(patterns *p)
{
    patterns_init(p, 40, 16, 4, 3, picture);
    p->noise = 2;
}

static ot_train_options options(void)
{
    ot_train_options o = net_options();
    o.augment = true;
    o.batch = 8;
    o.schedule = OT_SGDR;
    o.cycles = 2;
    o.cycle_len = 2;
    o.optimizer = OT_ADAM;
    o.lr[0] = 0.01;
    return o;
}

/* An empty folder for this test. */
static const char *fresh_folder(char path[512], const char *name)
{
    snprintf(path, 512, "%s", test_tmp(name));
    DIR *d = opendir(path);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char file[1024];
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        unlink(file);
    }
    if (d)
        closedir(d);
    rmdir(path);
    return path;
}

static int files_in(const char *path, const char *begins)
{
    int n = 0;
    DIR *d = opendir(path);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += strncmp(e->d_name, begins, strlen(begins)) == 0;
    if (d)
        closedir(d);
    return n;
}

typedef struct stopper {
    int64_t at; /* batches of this sitting, then stop */
    int64_t batches, saved;
    double loss, best; /* at the end */
} stopper;

static bool stop_there(void *ctx, const ot_event *e)
{
    stopper *s = ctx;
    if (e->kind == OT_BATCH_END) {
        s->batches++;
        s->loss = e->loss;
    }
    s->saved += e->kind == OT_SAVED;
    if (e->kind == OT_EPOCH_END && e->valid_accuracy > s->best)
        s->best = e->valid_accuracy;
    return !(e->kind == OT_BATCH_END && s->batches == s->at);
}

/* One sitting: from the checkpoint where there is one. */
static ot_status sit(ot_model *m, ot_train_options o, const char *folder, bool resume, stopper *s)
{
    patterns p;
    ot_trainer *t;
    init(&p);
    o.checkpoint = folder;
    o.resume = resume ? folder : NULL;
    if (!CHECK_OK(ot_trainer_create(&t, m, &p.d, &o)))
        return OT_EARG;
    ot_status st = ot_trainer_run(t, stop_there, s);
    ot_trainer_close(t);
    return st;
}

/* The whole run in sittings of `each` batches, from the original model every time; the same bits as in one go. */
static void in_sittings(ot_train_options o, int64_t each)
{
    char folder[512];
    stopper whole = { .at = -1 }, part = { .at = each };
    ot_model *a = with_dropout(), *b = NULL;
    CHECK(sit(a, o, NULL, false, &whole) == OT_OK);
    ot_status st = OT_ESTOPPED;
    fresh_folder(folder, "sittings");
    for (int n = 0; st == OT_ESTOPPED && n < 100; n++) {
        ot_model_close(b);
        b = with_dropout();
        part.batches = 0;
        st = sit(b, o, folder, n > 0, &part);
    }
    CHECK(st == OT_OK && part.saved > 0);
    CHECK(net_all_same(a, b));
    CHECK(part.loss == whole.loss && part.best == whole.best);
    CHECK(files_in(folder, "step-") <= 2 && files_in(folder, ".onnxtune") == 0);
    ot_model_close(a);
    ot_model_close(b);
}

static void every_optimizer_resumes(void)
{
    for (int k = OT_SGD; k <= OT_RMSPROP; k++) {
        ot_train_options o = options();
        o.optimizer = (ot_optimizer)k;
        o.dampening = k == OT_SGD ? 0.5 : 0;
        in_sittings(o, 7);
    }
}

static void any_stop_resumes(void)
{
    for (int64_t each = 1; each <= 6; each++) { /* 5 batches an epoch: in the middle, at the end, after it */
        ot_train_options o = options();
        o.keep_best = each % 2;
        in_sittings(o, each);
    }
    ot_train_options o = options(); /* in the middle of a step of 3 batches, too */
    o.accumulate = 3;
    in_sittings(o, 4);
    o.threads = o.loaders = 3;
    in_sittings(o, 1);
}

/* ---- A snapshot, taken in the middle of an epoch and used after the run went on -----------------------------------
 */

typedef struct snapshot {
    ot_trainer *t;
    const char *to; /* folder that the file is copied to */
    int64_t batches;
} snapshot;

static bool snap(void *ctx, const ot_event *e)
{
    snapshot *s = ctx;
    if (e->kind == OT_BATCH_END && ++s->batches == 7)
        ot_trainer_snapshot(s->t);
    if (e->kind == OT_SAVED && s->batches == 7) {
        char path[1024], text[64];
        ot_map map;
        const char *name = strrchr(e->path, '/') + 1;
        mkdir(s->to, 0777);
        snprintf(path, sizeof(path), "%s/%s", s->to, name);
        if (CHECK_OK(ot_file_map(&map, e->path))) {
            CHECK_OK(ot_file_write(path, map.bytes, map.n));
            ot_file_unmap(&map);
        }
        snprintf(path, sizeof(path), "%s/latest", s->to);
        snprintf(text, sizeof(text), "%s\n", name);
        CHECK_OK(ot_file_write(path, text, strlen(text)));
    }
    return true;
}

static void snapshots(void)
{
    char folder[512], copy[512];
    patterns p;
    ot_train_options o = options();
    ot_model *a = with_dropout(), *b = with_dropout();
    snapshot s = { .to = fresh_folder(copy, "snapshot-copy") };
    init(&p);
    o.checkpoint = fresh_folder(folder, "snapshot");
    if (CHECK_OK(ot_trainer_create(&s.t, a, &p.d, &o)))
        CHECK_OK(ot_trainer_run(s.t, snap, &s));
    ot_trainer_close(s.t);
    CHECK(s.batches == 20);
    stopper rest = { .at = -1 };
    CHECK(sit(b, options(), copy, true, &rest) == OT_OK && rest.batches == 13);
    CHECK(net_all_same(a, b));
    ot_model_close(a);
    ot_model_close(b);
}

static void contradictions(void)
{
    char folder[512], path[600];
    patterns p;
    ot_trainer *t;
    stopper s = { .at = 3 };
    ot_model *m = with_dropout();
    init(&p);
    CHECK(sit(m, options(), fresh_folder(folder, "contradict"), false, &s) == OT_ESTOPPED);
    ot_train_options o = options();
    o.resume = folder;
    o.seed = 43;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "seed 42");
    CHECK(t == NULL);
    o.seed = 42;
    o.lr[0] = 0.02;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "rate");
    o.lr[0] = 0.01;
    o.optimizer = OT_SGD;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "optimizer");
    o.optimizer = OT_ADAM;
    o.batch = 4;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "made with");
    o.batch = 8;
    o.freeze_to = "1";
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "made with");
    o.freeze_to = NULL;
    o.no_train = (const char *const[]){ "b0" };
    o.n_no_train = 1;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "made with");
    o.n_no_train = 0;
    p.d.count[OT_TRAIN] = 41;
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EARG, "samples 40");
    p.d.count[OT_TRAIN] = 40;
    ot_model *other = net_small(12, 4, true, 1);
    CHECK_FAILS(ot_trainer_create(&t, other, &p.d, &o), OT_EARG, "made with");
    ot_model_close(other);
    snprintf(path, sizeof(path), "%s/latest", folder);
    CHECK_OK(ot_file_write(path, "../etc/passwd", 13));
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EMODEL, "names no checkpoint");
    CHECK_OK(ot_file_write(path, "step-99.onnx", 12));
    CHECK_FAILS(ot_trainer_create(&t, m, &p.d, &o), OT_EIO, "step-99");
    ot_model_close(m);
}

/* ---- Real kills -------------------------------------------------------------------------------------------------- */

#define KILLS 12

typedef struct run_away {
    ot_trainer *t;
} run_away;

static bool save_often(void *ctx, const ot_event *e)
{
    const run_away *r = ctx;
    if (e->kind == OT_BATCH_END)
        ot_trainer_snapshot(r->t);
    return true;
}

static ot_train_options long_run(void)
{
    ot_train_options o = options();
    o.cycles = 3;
    o.cycle_len = 8;
    o.keep_best = true;
    return o;
}

/* The child: trains or goes on, writes the result, exits with 0. */
static void child(const char *folder, const char *result)
{
    patterns p;
    struct stat s;
    char latest[600];
    run_away r;
    ot_train_options o = long_run();
    ot_model *m = with_dropout();
    init(&p);
    p.wait = 2000;
    snprintf(latest, sizeof(latest), "%s/latest", folder);
    o.checkpoint = folder;
    o.resume = stat(latest, &s) == 0 ? folder : NULL;
    bool ok = ot_trainer_create(&r.t, m, &p.d, &o) == OT_OK && ot_trainer_run(r.t, save_often, &r) == OT_OK &&
              ot_model_save(m, result) == OT_OK;
    if (!ok)
        printf("    the child failed: %s\n", ot_last_error());
    fflush(stdout);
    _exit(!ok);
}

/* Starts a child and kills it after some microseconds (0: never); true when it ended by itself and well. */
static bool start_and_kill(const char *folder, const char *result, int64_t after)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(folder, result);
    if (!CHECK(pid > 0))
        return true;
    if (after) {
        usleep((useconds_t)after);
        kill(pid, SIGKILL);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void kills(void)
{
    char folder[512], result[512];
    patterns p;
    ot_model *want = with_dropout(), *got = NULL;
    ot_train_options o = long_run();
    struct timespec now;
    init(&p);
    net_train(want, &p.d, &o, NULL, NULL);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_nsec;
    fresh_folder(folder, "kills");
    snprintf(result, sizeof(result), "%s", test_tmp("kills.onnx"));
    unlink(result);
    int killed = 0;
    bool done = false;
    while (!done && killed < KILLS) { /* 3 to 300 milliseconds */
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        done = start_and_kill(folder, result, 3000 + (int64_t)(seed >> 33) % 297000);
        killed += !done;
    }
    if (!done)
        CHECK(start_and_kill(folder, result, 0));
    CHECK(killed >= 10);
    if (CHECK_OK(ot_model_open(&got, result)))
        CHECK(net_all_same(want, got));
    CHECK(files_in(folder, "step-") <= 2 && files_in(folder, ".onnxtune") == 0);
    ot_model_close(want);
    ot_model_close(got);
}

const ot_test resume_tests[] = {
    { "every optimizer", every_optimizer_resumes },
    { "stopped anywhere", any_stop_resumes },
    { "snapshots", snapshots },
    { "contradicting options", contradictions },
    { "killed at random moments", kills },
    { 0 },
};
