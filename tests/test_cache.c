/* Features of the frozen part that are kept: the same bits as without, in memory and on the disk, whole and resumed;
 * when they are kept; files that are damaged. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "harness.h"
#include "net.h"
#include "base/file.h"
#include "train/feature_file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t picture[] = { 3, 12, 12 };

/* conv 8 (0) - bn (1) - relu (2) - conv 8 (3) - relu (4) - add v2 (5) - conv 6 (6) - relu (7) - gap (8) - flatten (9) -
 * dropout (10) - gemm 4 (11). */
static ot_model *branched(void)
{
    char early[32];
    net n = net_begin(3, 12, 3);
    net_conv(&n, 8, 3, 1);
    net_norm(&n);
    net_relu(&n);
    memcpy(early, n.last, sizeof(early));
    net_conv(&n, 8, 3, 1);
    net_relu(&n);
    net_add(&n, early);
    net_conv(&n, 6, 3, 2);
    net_relu(&n);
    net_gap(&n);
    net_flatten(&n);
    net_dropout(&n, 0.3f);
    net_gemm(&n, 4);
    return net_done(&n);
}

/* ---- A data set that tells when its samples change -------------------------------------------------------------- */

static uint64_t version; /* of all samples */

static uint64_t stamp(void *ctx, int split, int64_t index, bool augment, uint64_t epoch)
{
    (void)ctx;
    return ((uint64_t)split << 40 | (uint64_t)index << 20 | (augment ? epoch + 1 : 0)) * 2 + 1 + (version << 50);
}

static void init(patterns *p)
{
    patterns_init(p, 37, 13, 4, 3, picture);
    p->noise = 2;
    p->d.place = "/patterns";
    p->d.stamp = stamp;
}

/* An empty folder that is the user's cache folder from now on. */
static const char *fresh_cache(char path[512])
{
    char own[600], file[1200];
    snprintf(path, 512, "%s", test_tmp("features"));
    snprintf(own, sizeof(own), "%s/onnxtune", path);
    DIR *d = opendir(own);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        snprintf(file, sizeof(file), "%s/%s", own, e->d_name);
        unlink(file);
    }
    if (d)
        closedir(d);
    mkdir(path, 0700);
    setenv("XDG_CACHE_HOME", path, 1);
    return path;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static ot_train_options options(const char *freeze_to)
{
    ot_train_options o = net_options();
    o.freeze_to = freeze_to;
    o.batch = 8;
    o.epochs = 4;
    return o;
}

typedef struct outcome {
    ot_model *m;
    ot_cache_info cache;
    double loss, valid;
    int64_t epochs, filled, stop_at; /* batches, then stop; -1: never */
    ot_status st;
} outcome;

static bool note(void *ctx, const ot_event *e)
{
    outcome *r = ctx;
    if (e->kind == OT_CACHING)
        r->filled = e->batch;
    if (e->kind == OT_BATCH_END)
        r->loss = e->loss;
    if (e->kind == OT_EPOCH_END) {
        r->epochs++;
        r->valid += e->valid_loss + e->valid_accuracy;
    }
    return !(e->kind == OT_BATCH_END && r->stop_at >= 0 && --r->stop_at < 0) &&
           !(e->kind == OT_CACHING && r->stop_at == 0);
}

static outcome run_with(const ot_train_options *o, int64_t stop_at)
{
    patterns p;
    ot_trainer *t;
    outcome r = { .m = branched(), .stop_at = stop_at };
    init(&p);
    r.st = ot_trainer_create(&t, r.m, &p.d, o);
    if (!CHECK(r.st == OT_OK))
        return r;
    r.st = ot_trainer_run(t, note, &r);
    ot_trainer_cache(t, &r.cache);
    r.cache.why = NULL;
    ot_trainer_close(t);
    return r;
}

static outcome run(const ot_train_options *o)
{
    outcome r = run_with(o, -1);
    CHECK(r.st == OT_OK);
    return r;
}

/* Trains with each way of keeping features; all end as `off` does. */
static void all_ways(ot_train_options o, int64_t rows)
{
    char path[512];
    fresh_cache(path);
    o.cache = OT_CACHE_OFF;
    outcome want = run(&o);
    CHECK(want.cache.mode == OT_CACHE_OFF && want.cache.layers > 0 && !want.filled);
    static const ot_cache ways[] = { OT_CACHE_AUTO, OT_CACHE_MEMORY, OT_CACHE_DISK, OT_CACHE_DISK };
    for (int i = 0; i < 4; i++) {
        o.cache = ways[i];
        o.loaders = o.threads = 1 + i;
        outcome got = run(&o);
        CHECK(net_all_same(want.m, got.m) && got.loss == want.loss && got.valid == want.valid);
        CHECK(got.cache.mode == (i ? ways[i] : OT_CACHE_MEMORY) && got.cache.samples == rows);
        CHECK(got.cache.found == (i == 3 ? rows : 0) && got.filled == (i == 3 ? 0 : rows));
        CHECK(got.cache.served == 4 * (37 + 13));
        ot_model_close(got.m);
    }
    ot_model_close(want.m);
}

static void same_bits(void)
{
    static const char *const places[] = { "3", "6", "11" };
    for (int i = 0; i < 3; i++)
        all_ways(options(places[i]), 37 + 13);
    ot_train_options o = options("6");
    o.accumulate = 3;
    o.optimizer = OT_ADAM;
    o.keep_best = true;
    all_ways(o, 37 + 13);
    o = options("6");
    o.loss = OT_LOSS_BCE;
    all_ways(o, 37 + 13);
}

static void variants(void)
{
    ot_train_options o = options("6");
    o.augment = true;
    o.cache_variants = 2;
    all_ways(o, 2 * 37 + 13);
    o.cache = OT_CACHE_OFF;
    outcome two = run(&o);
    o.cache_variants = 0;
    outcome all = run(&o);
    CHECK(!net_all_same(two.m, all.m));
    ot_model_close(two.m);
    ot_model_close(all.m);
}

/* ---- When -------------------------------------------------------------------------------------------------------- */

static void decides(ot_train_options o, ot_cache mode, const char *why)
{
    patterns p;
    ot_trainer *t;
    ot_cache_info c;
    ot_model *m = branched();
    init(&p);
    if (CHECK_OK(ot_trainer_create(&t, m, &p.d, &o))) {
        ot_trainer_cache(t, &c);
        if (!CHECK(c.mode == mode && (!why || (c.why && strstr(c.why, why)))))
            printf("    mode %d, '%s'\n", (int)c.mode, c.why ? c.why : "");
    }
    ot_trainer_close(t);
    ot_model_close(m);
}

static void when(void)
{
    ot_train_options o = options("6");
    decides(o, OT_CACHE_MEMORY, NULL);
    o.epochs = 1;
    decides(o, OT_CACHE_OFF, "no sample twice");
    o.cache = OT_CACHE_MEMORY;
    decides(o, OT_CACHE_MEMORY, NULL);
    o = options("6");
    o.steps = 4;
    decides(o, OT_CACHE_OFF, "no sample twice");
    o = options("6");
    o.augment = true;
    decides(o, OT_CACHE_OFF, "every epoch");
    o.cache_variants = 6;
    decides(o, OT_CACHE_OFF, "few variants twice");
    o.cache_variants = 2;
    decides(o, OT_CACHE_MEMORY, NULL);
    o = options(NULL);
    decides(o, OT_CACHE_OFF, "");
    o = options("6");
    o.memory = 400000; /* enough for the plans, not for 50 samples of 1,152 features more */
    decides(o, OT_CACHE_OFF, "there is room for");
}

static void refuses(ot_train_options o, const ot_dataset *d, ot_status st, const char *why)
{
    ot_trainer *t;
    ot_model *m = branched();
    CHECK_FAILS(ot_trainer_create(&t, m, d, &o), st, why);
    CHECK(t == NULL);
    ot_model_close(m);
}

static void when_not(void)
{
    patterns p;
    init(&p);
    ot_train_options o = options(NULL);
    o.cache = OT_CACHE_MEMORY;
    refuses(o, &p.d, OT_EARG, "frozen");
    o = options("6");
    o.cache = OT_CACHE_DISK;
    o.augment = true;
    refuses(o, &p.d, OT_EARG, "every epoch");
    o.augment = false;
    p.d.stamp = NULL;
    refuses(o, &p.d, OT_EARG, "does not tell");
    o.cache = OT_CACHE_MEMORY;
    o.memory = 400000;
    refuses(o, &p.d, OT_ENOMEM, "there is room for");
    o = options("6");
    o.cache_variants = -1;
    refuses(o, &p.d, OT_EARG, "-1 variants");
}

/* ---- Resumed ------------------------------------------------------------------------------------------------------
 */

static void remove_checkpoints(const char *folder)
{
    DIR *d = opendir(folder);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char file[1200];
        snprintf(file, sizeof(file), "%s/%s", folder, e->d_name);
        unlink(file);
    }
    if (d)
        closedir(d);
}

/* In sittings of `each` batches (0: it stops while filling, too), each with another way of keeping features. */
static void in_sittings(ot_train_options o, int64_t each)
{
    static const ot_cache ways[] = { OT_CACHE_MEMORY, OT_CACHE_DISK, OT_CACHE_OFF };
    char folder[512], cache[512];
    fresh_cache(cache);
    o.cache = OT_CACHE_OFF;
    outcome whole = run(&o), part = { .st = OT_ESTOPPED };
    snprintf(folder, sizeof(folder), "%s", test_tmp("cache-sittings"));
    remove_checkpoints(folder);
    for (int n = 0; part.st == OT_ESTOPPED && n < 100; n++) {
        ot_model_close(part.m);
        o.cache = ways[n % 3];
        o.checkpoint = folder;
        o.resume = n ? folder : NULL;
        double before = part.loss;
        part = run_with(&o, n == 1 && each == 3 ? 0 : each);
        part.loss = part.loss == 0 ? before : part.loss; /* a sitting may have nothing left but validation */
    }
    CHECK(part.st == OT_OK && net_all_same(whole.m, part.m) && part.loss == whole.loss);
    ot_model_close(whole.m);
    ot_model_close(part.m);
}

static void resumes(void)
{
    ot_train_options o = options("6");
    o.optimizer = OT_ADAM;
    o.lr[0] = 0.01;
    for (int64_t each = 1; each <= 6; each++)
        in_sittings(o, each);
    o.augment = true;
    o.cache_variants = 2;
    in_sittings(o, 3);
    in_sittings(o, 7);
}

/* ---- Files --------------------------------------------------------------------------------------------------------
 */

/* The only file of features. */
static bool find_file(char path[1200], const char *cache)
{
    char own[600];
    snprintf(own, sizeof(own), "%s/onnxtune", cache);
    DIR *d = opendir(own);
    int n = 0;
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (e->d_name[0] != '.') {
            snprintf(path, 1200, "%s/%s", own, e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return CHECK(n == 1);
}

static void damaged(void)
{
    char cache[512], path[1200];
    ot_train_options o = options("11");
    uint8_t *bytes, *bad;
    size_t n;
    fresh_cache(cache);
    o.epochs = 1;
    o.cache = OT_CACHE_DISK;
    outcome want = run(&o);
    if (!find_file(path, cache) || !CHECK_OK(ot_file_read(&bytes, &n, path, 1 << 20)))
        return;
    CHECK(n == 32 + 50 * (6 * 4 + 16) + 8);
    for (size_t i = 0; i < n; i += 13) {
        bool cut = i % 2;
        bad = ot_malloc(n, 1);
        memcpy(bad, bytes, n);
        bad[i] ^= (uint8_t)(1 << i % 8);
        CHECK_OK(ot_file_write(path, bad, cut ? i : n));
        outcome got = run(&o);
        bool row = !cut && i >= 32 && i < 32 + 50 * 24; /* one row is bad, the others are good */
        CHECK(net_all_same(want.m, got.m) && got.cache.found == (row ? 49 : 0));
        ot_model_close(got.m);
        ot_free(bad);
    }
    ot_free(bytes);
    ot_model_close(want.m);
}

static void changed_samples(void)
{
    char cache[512];
    ot_train_options o = options("11");
    fresh_cache(cache);
    o.cache = OT_CACHE_DISK;
    outcome a = run(&o);
    version++;
    outcome b = run(&o); /* all samples have changed */
    CHECK(a.cache.found == 0 && b.cache.found == 0 && net_all_same(a.m, b.m));
    outcome c = run(&o);
    CHECK(c.cache.found == 50);
    o.freeze_to = "6"; /* another frozen part: another file */
    outcome d = run(&o);
    CHECK(d.cache.found == 0);
    o.freeze_to = "11";
    outcome e = run(&o);
    CHECK(e.cache.found == 50);
    ot_model_close(a.m);
    ot_model_close(b.m);
    ot_model_close(c.m);
    ot_model_close(d.m);
    ot_model_close(e.m);
}

static void rows(void)
{
    const char *path = test_tmp("features.bin");
    ot_feature_writer *w;
    ot_feature_file *f;
    float row[3] = { 1, 2, 3 };
    unlink(path);
    if (!CHECK_OK(ot_feature_writer_open(&w, path, 77, 3, 2)))
        return;
    CHECK_OK(ot_feature_writer_put(w, 10, row));
    row[0] = -4;
    CHECK_OK(ot_feature_writer_put(w, 5, row));
    CHECK_FAILS(ot_feature_writer_put(w, 6, row), OT_EARG, "more than 2 rows");
    CHECK_OK(ot_feature_writer_commit(w));
    CHECK_OK(ot_feature_file_open(&f, path, 78, 3));
    CHECK(f == NULL);
    CHECK_OK(ot_feature_file_open(&f, path, 77, 4));
    CHECK(f == NULL);
    if (CHECK_OK(ot_feature_file_open(&f, path, 77, 3)) && CHECK(f != NULL)) {
        CHECK(ot_feature_file_rows(f) == 2 && ot_feature_file_find(f, 5) == 1 && ot_feature_file_find(f, 10) == 0);
        CHECK(ot_feature_file_find(f, 6) == -1);
        CHECK_OK(ot_feature_file_read(f, 0, row));
        CHECK(row[0] == 1 && row[2] == 3);
        CHECK_FAILS(ot_feature_file_read(f, 2, row), OT_EARG, "row 2 of 2");
    }
    ot_feature_file_close(f);
    if (CHECK_OK(ot_feature_writer_open(&w, path, 77, 3, 2)))
        CHECK_FAILS(ot_feature_writer_commit(w), OT_EARG, "0 of 2 rows");
    CHECK_OK(ot_feature_file_open(&f, path, 77, 3)); /* the old one is as it was */
    CHECK(f != NULL);
    ot_feature_file_close(f);
}

const ot_test cache_tests[] = {
    { "the same bits", same_bits },
    { "variants", variants },
    { "when", when },
    { "when not", when_not },
    { "resumed", resumes },
    { "damaged files", damaged },
    { "changed samples", changed_samples },
    { "rows", rows },
    { 0 },
};
