/* The prefetching loader.  Workers take samples in the epoch's order, a few at a time, and write them into a ring of
 * batches; a batch is handed out when all of its samples are there.  One lock guards all but the samples. */
#define _POSIX_C_SOURCE 200809L
#include "train/dataset.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "base/threads.h"
#include "data/corpus.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS  256
#define MAX_AHEAD    1024
#define CHUNK_FLOATS 65536 /* small samples are taken several at once */

typedef struct slot {
    float *samples;
    int64_t *labels, *indices;
    int64_t missing; /* samples still to come */
} slot;

struct ot_loader {
    ot_text_reader *text; /* of text, which needs no workers; all below is unused then */
    const ot_dataset *data;
    ot_loader_options o;
    int64_t floats, count, batches, chunk; /* count: samples of a whole epoch */
    int slots;
    slot *ring; /* batch b is in ring[b % slots] */
    int64_t *order;
    pthread_t *thread;
    int threads;

    pthread_mutex_t lock;
    pthread_cond_t work, ready; /* something to take; a batch or an error */
    bool quit;
    int busy;          /* workers that hold samples */
    int64_t next;      /* the next sample to take; count: none */
    int64_t released;  /* batches before this one may be overwritten */
    int64_t handed;    /* the next batch for ot_loader_next */
    uint64_t variant;  /* for the augmentation */
    int64_t failed_at; /* the first sample that failed; -1: none */
    ot_status failed;
    char why[1024];
    double began;
    ot_loader_stats stats;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t batch_size(const ot_loader *l, int64_t b)
{
    int64_t left = l->count - b * l->o.batch;
    return left < l->o.batch ? left : l->o.batch;
}

/* Takes up to a chunk of samples of one batch; 0: the ring is full, the epoch is over, or something failed. */
static int64_t take(ot_loader *l, int64_t *first)
{
    int64_t b = l->next / l->o.batch;
    if (l->next >= l->count || l->failed_at >= 0 || b >= l->released + l->slots)
        return 0;
    int64_t end = b * l->o.batch + batch_size(l, b), n = end - l->next < l->chunk ? end - l->next : l->chunk;
    *first = l->next;
    l->next += n;
    return n;
}

static void note_failure(ot_loader *l, ot_status st, int64_t at)
{
    if (l->failed_at >= 0 && l->failed_at < at)
        return;
    l->failed_at = at;
    l->failed = st;
    snprintf(l->why, sizeof(l->why), "%s", ot_last_error());
}

/* Loads samples first .. first+n-1 of the order without the lock; the number of the one that failed, or -1. */
static int64_t load(ot_loader *l, int64_t first, int64_t n, uint64_t variant, ot_status *st)
{
    int64_t b = first / l->o.batch;
    slot *s = &l->ring[b % l->slots];
    for (int64_t i = first; i < first + n; i++) {
        int64_t k = i - b * l->o.batch;
        s->indices[k] = l->order[i];
        *st = ot_dataset_load(l->data, l->o.split, l->order[i], l->o.augment, variant, s->samples + k * l->floats,
                              &s->labels[k]);
        if (*st != OT_OK)
            return i;
    }
    return -1;
}

static void *work(void *arg)
{
    ot_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->quit) {
        int64_t first = 0, n = take(l, &first);
        if (!n) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        ot_status st = OT_OK;
        uint64_t variant = l->variant;
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        double t = seconds();
        int64_t bad = load(l, first, n, variant, &st);
        t = seconds() - t;
        pthread_mutex_lock(&l->lock);
        l->busy--;
        l->stats.loading += t;
        if (bad >= 0)
            note_failure(l, st, bad);
        slot *s = &l->ring[first / l->o.batch % l->slots];
        s->missing -= n;
        if (bad >= 0 || s->missing == 0 || l->busy == 0)
            pthread_cond_broadcast(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- Making and ending ------------------------------------------------------------------------------------- */

static ot_status check_options(const ot_dataset *d, const ot_loader_options *o)
{
    if (o->split != OT_TRAIN && o->split != OT_VALID)
        return ot_fail(OT_EARG, "split %d is neither OT_TRAIN nor OT_VALID", o->split);
    if (d->count[o->split] < 1)
        return ot_fail(OT_EARG, "the data set has no samples for %s", o->split ? "validation" : "training");
    if (o->batch < 1)
        return ot_fail(OT_EARG, "a batch of %lld samples", (long long)o->batch);
    if (o->threads < 0 || o->threads > MAX_THREADS || o->ahead < 0 || o->ahead > MAX_AHEAD || o->variants < 0)
        return ot_fail(OT_EARG, "loader: %d threads, %d batches ahead, %lld variants", o->threads, o->ahead,
                       (long long)o->variants);
    if (o->drop_last && d->count[o->split] < o->batch)
        return ot_fail(OT_EARG, "%lld samples do not fill one batch of %lld", (long long)d->count[o->split],
                       (long long)o->batch);
    return OT_OK;
}

static ot_status allocate(ot_loader *l)
{
    size_t floats;
    int64_t b = l->o.batch;
    l->ring = ot_calloc((size_t)l->slots, sizeof(slot));
    l->order = ot_malloc((size_t)l->data->count[l->o.split], sizeof(int64_t));
    l->thread = ot_calloc((size_t)l->o.threads, sizeof(pthread_t));
    if (!l->ring || !l->order || !l->thread)
        return OT_ENOMEM;
    if (!ot_mul(&floats, (size_t)b, (size_t)l->floats))
        return ot_fail(OT_ENOMEM, "out of memory: a batch of %lld samples", (long long)b);
    for (int i = 0; i < l->slots; i++) {
        slot *s = &l->ring[i];
        s->samples = ot_malloc(floats, sizeof(float));
        s->labels = ot_malloc((size_t)b, sizeof(int64_t));
        s->indices = ot_malloc((size_t)b, sizeof(int64_t));
        if (!s->samples || !s->labels || !s->indices)
            return OT_ENOMEM;
    }
    return OT_OK;
}

/* Signals are for the program's own threads. */
static ot_status start_threads(ot_loader *l)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int e = 0;
    while (!e && l->threads < l->o.threads)
        if (!(e = pthread_create(&l->thread[l->threads], NULL, work, l)))
            l->threads++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return l->threads ? OT_OK : ot_fail(OT_ENOMEM, "no thread could be started for the loader (error %d)", e);
}

static ot_status open_text(ot_loader **out, const ot_dataset *d, const ot_loader_options *o)
{
    ot_loader *l = ot_calloc(1, sizeof(*l));
    ot_status st = l ? ot_text_reader_open(&l->text, d, o) : OT_ENOMEM;
    if (st == OT_OK)
        *out = l;
    else
        ot_free(l);
    return st;
}

ot_status ot_loader_create(ot_loader **out, const ot_dataset *d, const ot_loader_options *o)
{
    int64_t floats;
    *out = NULL;
    if (d->text)
        return open_text(out, d, o);
    OT_TRY(ot_dataset_check(d, &floats));
    OT_TRY(check_options(d, o));
    ot_loader *l = ot_calloc(1, sizeof(*l));
    if (!l)
        return OT_ENOMEM;
    int cores = ot_physical_cores();
    l->data = d;
    l->o = *o;
    l->o.threads = o->threads ? o->threads : cores < 4 ? cores : 4;
    l->o.batch = o->batch < d->count[o->split] ? o->batch : d->count[o->split];
    l->floats = floats;
    l->slots = (o->ahead ? o->ahead : 2) + 1;
    l->batches = (d->count[o->split] + (o->drop_last ? 0 : l->o.batch - 1)) / l->o.batch;
    l->count = l->batches * l->o.batch < d->count[o->split] ? l->batches * l->o.batch : d->count[o->split];
    l->chunk = floats && floats < CHUNK_FLOATS ? CHUNK_FLOATS / floats : 1;
    l->next = l->count;
    l->handed = l->released = l->batches; /* nothing before ot_loader_start */
    l->failed_at = -1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    ot_status st = allocate(l);
    if (st == OT_OK)
        st = start_threads(l);
    if (st != OT_OK) {
        ot_loader_close(l);
        return st;
    }
    *out = l;
    return OT_OK;
}

/* No worker holds or takes samples afterwards; called with the lock. */
static void quiet(ot_loader *l)
{
    l->next = l->count;
    while (l->busy)
        pthread_cond_wait(&l->ready, &l->lock);
}

void ot_loader_close(ot_loader *l)
{
    if (!l)
        return;
    if (l->text) {
        ot_text_reader_close(l->text);
        ot_free(l);
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->next = l->count;
    l->quit = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->threads; i++)
        pthread_join(l->thread[i], NULL);
    for (int i = 0; l->ring && i < l->slots; i++) {
        ot_free(l->ring[i].samples);
        ot_free(l->ring[i].labels);
        ot_free(l->ring[i].indices);
    }
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    pthread_mutex_destroy(&l->lock);
    ot_free(l->ring);
    ot_free(l->order);
    ot_free(l->thread);
    ot_free(l);
}

/* ---- Running ----------------------------------------------------------------------------------------------- */

ot_status ot_loader_start(ot_loader *l, uint64_t epoch, int64_t first_batch)
{
    if (l->text)
        return ot_text_reader_start(l->text, epoch, first_batch);
    int64_t n = l->data->count[l->o.split];
    if (first_batch < 0 || first_batch > l->batches)
        return ot_fail(OT_EARG, "batch %lld is not in an epoch of %lld", (long long)first_batch, (long long)l->batches);
    pthread_mutex_lock(&l->lock);
    quiet(l);
    if (l->o.shuffle)
        ot_rng_permute(ot_rng_key(l->o.seed, ot_hash("shuffle"), epoch, (uint64_t)l->o.split), l->order, n);
    else
        for (int64_t i = 0; i < n; i++)
            l->order[i] = i;
    l->variant = l->o.variants ? epoch % (uint64_t)l->o.variants : epoch;
    l->failed_at = -1;
    l->handed = l->released = first_batch;
    for (int64_t b = first_batch; b < l->batches && b < first_batch + l->slots; b++)
        l->ring[b % l->slots].missing = batch_size(l, b);
    l->next = first_batch < l->batches ? first_batch * l->o.batch : l->count;
    l->stats = (ot_loader_stats){ 0 };
    l->began = seconds();
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return OT_OK;
}

/* The batch handed out last is done with: its place is for the one that comes `slots` later. */
static void release_last(ot_loader *l)
{
    if (l->released == l->handed)
        return;
    int64_t later = l->released + l->slots;
    if (later < l->batches)
        l->ring[later % l->slots].missing = batch_size(l, later);
    l->released++;
    pthread_cond_broadcast(&l->work);
}

ot_status ot_loader_next(ot_loader *l, ot_batch *out)
{
    ot_status st = OT_OK;
    double t = seconds();
    *out = (ot_batch){ 0 };
    if (l->text)
        return ot_text_reader_next(l->text, out);
    pthread_mutex_lock(&l->lock);
    release_last(l);
    int64_t b = l->handed;
    slot *s = &l->ring[b % l->slots];
    bool over = b >= l->batches, broken = false;
    while (!over && !broken && s->missing) {
        broken = l->failed_at >= 0 && !l->busy;
        if (!broken)
            pthread_cond_wait(&l->ready, &l->lock);
    }
    if (!over && l->failed_at >= 0 && l->failed_at / l->o.batch == b)
        broken = true;
    l->stats.elapsed = seconds() - l->began;
    l->stats.waited += seconds() - t;
    if (broken) {
        st = ot_fail(l->failed, "%s", l->why);
    } else if (!over) {
        *out =
            (ot_batch){ batch_size(l, b), b * l->o.batch, s->samples, s->labels, s->indices, .rows = batch_size(l, b) };
        l->stats.samples += out->n;
        l->handed++;
    }
    pthread_mutex_unlock(&l->lock);
    return st;
}

int64_t ot_loader_batches(const ot_loader *l)
{
    return l->text ? ot_text_reader_batches(l->text) : l->batches;
}

void ot_loader_statistics(ot_loader *l, ot_loader_stats *out)
{
    *out = (ot_loader_stats){ 0 };
    if (l->text)
        return;
    pthread_mutex_lock(&l->lock);
    *out = l->stats;
    pthread_mutex_unlock(&l->lock);
}
