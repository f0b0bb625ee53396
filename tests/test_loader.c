#define _POSIX_C_SOURCE 200809L
#include "harness.h"
#include "base/alloc.h"
#include "train/dataset.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* A data set of numbers: sample i of a split is {i, epoch if augmented, split}; label i % 3. */
typedef struct numbers {
    ot_dataset d;
    int64_t bad; /* this sample of the training split fails, if >= 0; and the one 5 behind it, sooner */
    bool slow;
    atomic_int loads;
} numbers;

static void wait_ms(int ms)
{
    struct timespec t = { 0, ms * 1000000L };
    nanosleep(&t, NULL);
}

static ot_status load(void *ctx, int split, int64_t i, bool augment, uint64_t epoch, float *x, int64_t *label)
{
    numbers *n = ctx;
    atomic_fetch_add(&n->loads, 1);
    if (n->slow)
        wait_ms((int)(i * 7 % 3));
    if (split == OT_TRAIN && n->bad >= 0 && (i == n->bad || i == n->bad + 5)) {
        wait_ms(i == n->bad ? 5 : 0);
        return ot_set_error(OT_EDATA, i == n->bad ? "the first" : "the second");
    }
    x[0] = (float)i;
    x[1] = augment ? (float)epoch : -1;
    x[2] = (float)split;
    *label = i % 3;
    return OT_OK;
}

static int64_t label_of(void *ctx, int split, int64_t i)
{
    (void)ctx;
    (void)split;
    return i % 3;
}

static numbers open_numbers(int64_t train, int64_t valid)
{
    return (numbers){
        .d = { .count = { train, valid }, .classes = 3, .rank = 1, .dim = { 3 }, .load = load, .label = label_of },
        .bad = -1
    };
}

/* All indices of an epoch from first_batch on, in order, into out; the number of them. */
static int64_t run(numbers *n, ot_loader_options o, uint64_t epoch, int64_t first_batch, int64_t *out)
{
    ot_loader *l;
    ot_batch b;
    int64_t k = 0;
    n->d.ctx = n;
    if (!CHECK_OK(ot_loader_create(&l, &n->d, &o)))
        return -1;
    CHECK_OK(ot_loader_start(l, epoch, first_batch));
    while (CHECK_OK(ot_loader_next(l, &b)) && b.n) {
        CHECK(b.first == first_batch * o.batch + k);
        for (int64_t i = 0; i < b.n; i++) {
            const float *x = b.samples + 3 * i;
            CHECK(x[0] == (float)b.indices[i] && b.labels[i] == b.indices[i] % 3 && x[2] == (float)o.split);
            CHECK(x[1] == (o.augment ? (float)(o.variants ? epoch % (uint64_t)o.variants : epoch) : -1));
            out[k++] = b.indices[i];
        }
    }
    CHECK_OK(ot_loader_next(l, &b));
    CHECK(b.n == 0);
    ot_loader_close(l);
    return k;
}

static void order(void)
{
    int64_t a[103], b[103], seen[103] = { 0 };
    ot_loader_options o = OT_LOADER_INIT;
    numbers n = open_numbers(103, 10);
    o.batch = 10;
    o.shuffle = false;
    CHECK(run(&n, o, 0, 0, a) == 103);
    for (int64_t i = 0; i < 103; i++)
        CHECK(a[i] == i);
    o.shuffle = true;
    CHECK(run(&n, o, 3, 0, a) == 103);
    for (int64_t i = 0; i < 103; i++)
        seen[a[i]]++;
    for (int64_t i = 0; i < 103; i++)
        CHECK(seen[i] == 1);
    CHECK(run(&n, o, 4, 0, b) == 103 && memcmp(a, b, sizeof(a)) != 0);
    o.seed = 43;
    CHECK(run(&n, o, 3, 0, b) == 103 && memcmp(a, b, sizeof(a)) != 0);
    o.drop_last = true;
    CHECK(run(&n, o, 3, 0, b) == 100);
    o.drop_last = false;
    o.split = OT_VALID;
    o.batch = 64;
    CHECK(run(&n, o, 3, 0, b) == 10);
}

static void same_for_any_number_of_threads(void)
{
    int64_t want[200], got[200];
    ot_loader_options o = OT_LOADER_INIT;
    numbers n = open_numbers(200, 0);
    o.batch = 16;
    o.threads = 1;
    o.variants = 2;
    CHECK(run(&n, o, 5, 0, want) == 200);
    n.slow = true;
    for (int threads = 1; threads <= 8; threads *= 2)
        for (int ahead = 1; ahead < 4; ahead += 2) {
            o.threads = threads;
            o.ahead = ahead;
            memset(got, 0, sizeof(got));
            CHECK(run(&n, o, 5, 0, got) == 200);
            CHECK(memcmp(want, got, sizeof(got)) == 0);
        }
}

static void resume(void)
{
    int64_t whole[95], part[95];
    ot_loader_options o = OT_LOADER_INIT;
    numbers n = open_numbers(95, 0);
    o.batch = 10;
    o.threads = 2;
    CHECK(run(&n, o, 2, 0, whole) == 95);
    for (int64_t at = 0; at <= 10; at++) {
        int64_t k = run(&n, o, 2, at, part);
        CHECK(k == (at < 10 ? 95 - 10 * at : 0));
        CHECK(memcmp(part, whole + 95 - k, (size_t)k * sizeof(*part)) == 0);
    }
}

static void restart_in_the_middle(void)
{
    ot_loader *l;
    ot_batch b;
    ot_loader_stats stats;
    ot_loader_options o = OT_LOADER_INIT;
    numbers n = open_numbers(1000, 0);
    int64_t before = ot_live_blocks();
    n.d.ctx = &n;
    n.slow = true;
    o.batch = 4;
    o.threads = 3;
    o.shuffle = false;
    CHECK_OK(ot_loader_create(&l, &n.d, &o));
    CHECK(ot_loader_batches(l) == 250);
    CHECK_OK(ot_loader_next(l, &b));
    CHECK(b.n == 0); /* not started */
    for (uint64_t e = 0; e < 20; e++) {
        CHECK_OK(ot_loader_start(l, e, (int64_t)e * 10));
        for (int k = 0; k < 3; k++) {
            CHECK_OK(ot_loader_next(l, &b));
            CHECK(b.n == 4 && b.samples[0] == (float)(e * 40 + (uint64_t)k * 4) && b.samples[1] == (float)e);
        }
    }
    ot_loader_statistics(l, &stats);
    CHECK(stats.samples == 12 && stats.waited >= 0 && stats.waited <= stats.elapsed && stats.elapsed < 60);
    CHECK_FAILS(ot_loader_start(l, 0, 251), OT_EARG, "batch 251");
    CHECK_OK(ot_loader_start(l, 1, 0));
    ot_loader_close(l); /* while workers are busy */
    CHECK(atomic_load(&n.loads) < 1000);
    CHECK(ot_live_blocks() == before);
}

static void errors_come_in_their_place(void)
{
    ot_loader *l;
    ot_batch b;
    ot_loader_options o = OT_LOADER_INIT;
    numbers n = open_numbers(100, 0);
    n.d.ctx = &n;
    o.batch = 8;
    o.shuffle = false;
    for (int threads = 1; threads <= 4; threads++) {
        o.threads = threads;
        n.bad = 30;
        CHECK_OK(ot_loader_create(&l, &n.d, &o));
        for (int again = 0; again < 2; again++) {
            CHECK_OK(ot_loader_start(l, 0, 0));
            for (int k = 0; k < 3; k++) {
                CHECK_OK(ot_loader_next(l, &b));
                CHECK(b.n == 8 && b.indices[7] == k * 8 + 7);
            }
            CHECK_FAILS(ot_loader_next(l, &b), OT_EDATA, "sample 30: the first");
            CHECK(b.n == 0);
            CHECK_FAILS(ot_loader_next(l, &b), OT_EDATA, "sample 30: the first");
        }
        n.bad = -1;
        CHECK_OK(ot_loader_start(l, 0, 3));
        CHECK_OK(ot_loader_next(l, &b));
        CHECK(b.n == 8 && b.indices[0] == 24);
        ot_loader_close(l);
    }
}

static ot_status wrong_label(void *ctx, int split, int64_t i, bool augment, uint64_t epoch, float *x, int64_t *label)
{
    ot_status st = load(ctx, split, i, augment, epoch, x, label);
    *label = 3;
    return st;
}

static void refusals(void)
{
    ot_loader *l;
    ot_batch b;
    ot_loader_options o = OT_LOADER_INIT;
    numbers n = open_numbers(10, 0);
    n.d.ctx = &n;
    o.split = OT_VALID;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "no samples for validation");
    o.split = 2;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "split 2");
    o.split = OT_TRAIN;
    o.drop_last = true;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "do not fill");
    o.drop_last = false;
    o.batch = 0;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "batch of 0");
    o.batch = 5;
    o.threads = -1;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "-1 threads");
    o.threads = 1;
    n.d.dim[0] = -3;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "");
    n.d.dim[0] = 3;
    n.d.load = wrong_label;
    CHECK_OK(ot_loader_create(&l, &n.d, &o));
    CHECK_OK(ot_loader_start(l, 0, 0));
    CHECK_FAILS(ot_loader_next(l, &b), OT_EDATA, "label 3 is not in 0..2");
    ot_loader_close(l);
    n.d.load = NULL;
    CHECK_FAILS(ot_loader_create(&l, &n.d, &o), OT_EARG, "load function");
    n.d.load = load;
    ot_status st = OT_ENOMEM;
    int64_t before = ot_live_blocks();
    for (int64_t k = 0; st != OT_OK && k < 100; k++) {
        ot_fail_alloc_after(k);
        st = ot_loader_create(&l, &n.d, &o);
        ot_fail_alloc_after(-1);
        CHECK(st == OT_OK || (st == OT_ENOMEM && !l));
        ot_loader_close(l);
        CHECK(ot_live_blocks() == before);
    }
    CHECK(st == OT_OK);
}

const ot_test loader_tests[] = { { "order", order },
                                 { "same for any number of threads", same_for_any_number_of_threads },
                                 { "resume", resume },
                                 { "restart in the middle", restart_in_the_middle },
                                 { "errors come in their place", errors_come_in_their_place },
                                 { "refusals", refusals },
                                 { NULL, NULL } };
