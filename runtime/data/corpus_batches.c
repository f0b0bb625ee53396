/* Batches of text, for the loader.  A stream of n characters in B rows is cut into B parts of n / B characters that lie
 * one beside the other; each batch goes on in all of them where the one before ended. */
#include "data/corpus.h"
#include "base/rng.h"
#include "base/strmap.h"

#include <math.h>
#include <string.h>

#define LEAST_STEPS 5
#define DEVIATION   5.
#define HALVED      0.05 /* share of the batches that are drawn around half of bptt */

struct ot_text_reader {
    const ot_corpus *x;
    ot_loader_options o;
    int64_t batch;    /* rows, or windows of a batch */
    int64_t length;   /* of a row */
    int64_t batches;  /* of an epoch, at most */
    int64_t most;     /* characters of a row in a batch, at most */
    int64_t next, at; /* the next batch; stream: where it begins in its row */
    uint64_t epoch;
    int64_t *order;           /* windows */
    int64_t *tokens, *labels; /* [most * batch] */
};

/* ---- Streams ------------------------------------------------------------------------------------------------- */

/* Lengths are drawn in training alone. */
static bool draws(const ot_text_reader *r)
{
    return r->o.shuffle && r->x->o.steps == 0;
}

/* Characters of the batch of this number that begins at `at`; 0: the epoch is over. */
static int64_t steps_of(const ot_text_reader *r, int64_t number, int64_t at)
{
    int64_t left = r->length - 1 - at, steps = r->x->o.steps;
    if (number >= r->batches || left < 1 || (steps && left < steps))
        return 0;
    if (draws(r)) {
        uint64_t key = ot_rng_key(r->o.seed, ot_hash("bptt"), r->epoch, 0);
        double base = (double)r->x->o.bptt;
        if (ot_rng_uniform(key, 2 * (uint64_t)number) < HALVED)
            base /= 2;
        steps = (int64_t)(base + DEVIATION * ot_rng_normal(key, 2 * (uint64_t)number + 1));
        steps = steps < LEAST_STEPS ? LEAST_STEPS : steps > r->most ? r->most : steps;
    } else if (!steps) {
        steps = r->x->o.bptt;
    }
    return steps < left ? steps : left;
}

static void fill_stream(ot_text_reader *r, int64_t steps)
{
    const ot_corpus *x = r->x;
    const bool by_row = x->o.batch_first;
    for (int64_t b = 0; b < r->batch; b++) {
        const int32_t *from = x->token + x->part[r->o.split] + b * r->length + r->at;
        for (int64_t t = 0; t < steps; t++) {
            int64_t to = by_row ? b * steps + t : t * r->batch + b;
            r->tokens[to] = from[t];
            r->labels[to] = from[t + 1];
        }
    }
}

static void next_of_stream(ot_text_reader *r, ot_batch *out)
{
    int64_t steps = steps_of(r, r->next, r->at);
    if (steps == 0)
        return;
    fill_stream(r, steps);
    r->at += steps;
    *out = (ot_batch){ .n = r->batch, .first = r->next * r->batch, .rows = steps * r->batch, .steps = steps };
    out->last = steps_of(r, r->next + 1, r->at) == 0;
}

static ot_status measure_stream(ot_text_reader *r)
{
    const ot_corpus *x = r->x;
    const int64_t size = x->size[r->o.split], least = (x->o.steps ? x->o.steps : 1) + 1;
    r->batch = r->o.batch;
    r->length = size / r->batch;
    if (r->length < least)
        return ot_fail(OT_EDATA, "%lld characters in %lld rows are %lld a row, at least %lld are wanted",
                       (long long)size, (long long)r->batch, (long long)r->length, (long long)least);
    r->most = x->o.steps ? x->o.steps : x->o.bptt;
    if (x->o.steps)
        r->batches = (r->length - 1) / x->o.steps;
    else if (draws(r))
        r->batches = r->length / x->o.bptt > 2 ? r->length / x->o.bptt - 1 : 1;
    else
        r->batches = (r->length - 1 + x->o.bptt - 1) / x->o.bptt;
    if (draws(r))
        r->most = x->o.bptt + LEAST_STEPS + (int64_t)(8 * DEVIATION);
    return OT_OK;
}

/* ---- Windows ------------------------------------------------------------------------------------------------- */

static int64_t start_of(const ot_text_reader *r, int64_t i)
{
    const ot_corpus *x = r->x;
    int64_t w = r->order[i];
    if (x->window)
        w = x->window[r->o.split == OT_VALID ? w : x->windows[OT_VALID] + w];
    return x->part[r->o.split] + w * x->o.stride;
}

static void next_window(ot_text_reader *r, ot_batch *out)
{
    const ot_corpus *x = r->x;
    const int64_t steps = x->o.steps, first = r->next * r->batch, left = x->windows[r->o.split] - first;
    const int64_t n = left < r->batch ? left : r->batch;
    if (n < 1 || r->next >= r->batches)
        return;
    for (int64_t b = 0; b < n; b++) {
        const int32_t *from = x->token + start_of(r, first + b);
        for (int64_t t = 0; t < steps; t++) {
            int64_t to = x->o.batch_first ? b * steps + t : t * n + b;
            r->tokens[to] = from[t];
            if (x->o.each)
                r->labels[to] = from[t + 1];
        }
        if (!x->o.each)
            r->labels[b] = from[steps];
    }
    *out = (ot_batch){ .n = n, .first = first, .rows = x->o.each ? n * steps : n, .steps = steps };
    out->last = r->next + 1 == r->batches;
}

static ot_status measure_windows(ot_text_reader *r)
{
    const int64_t n = r->x->windows[r->o.split];
    r->batch = r->o.batch < n ? r->o.batch : n;
    r->most = r->x->o.steps;
    if (n < 1)
        return ot_fail(OT_EARG, "the text has no windows for %s", r->o.split ? "validation" : "training");
    r->batches = (n + (r->o.drop_last ? 0 : r->batch - 1)) / r->batch;
    r->order = ot_malloc((size_t)n, sizeof(*r->order));
    return r->order ? OT_OK : OT_ENOMEM;
}

/* ---- What the loader calls ----------------------------------------------------------------------------------- */

static ot_status open_reader(ot_text_reader *r)
{
    size_t cells;
    if ((r->o.split != OT_TRAIN && r->o.split != OT_VALID) || r->o.batch < 1)
        return ot_fail(OT_EARG, "split %d, a batch of %lld", r->o.split, (long long)r->o.batch);
    OT_TRY(r->x->o.stream ? measure_stream(r) : measure_windows(r));
    if (!ot_mul(&cells, (size_t)r->most, (size_t)r->batch))
        return ot_fail(OT_ENOMEM, "a batch of %lld times %lld characters", (long long)r->batch, (long long)r->most);
    r->tokens = ot_malloc(cells, sizeof(*r->tokens));
    r->labels = ot_malloc(cells, sizeof(*r->labels));
    return r->tokens && r->labels ? OT_OK : OT_ENOMEM;
}

ot_status ot_text_reader_open(ot_text_reader **out, const ot_dataset *d, const ot_loader_options *o)
{
    *out = NULL;
    ot_text_reader *r = ot_calloc(1, sizeof(*r));
    if (!r)
        return OT_ENOMEM;
    r->x = d->text;
    r->o = *o;
    ot_status st = open_reader(r);
    r->next = r->batches; /* nothing before it is started */
    if (st == OT_OK)
        *out = r;
    else
        ot_text_reader_close(r);
    return st;
}

void ot_text_reader_close(ot_text_reader *r)
{
    if (!r)
        return;
    ot_free(r->order);
    ot_free(r->tokens);
    ot_free(r->labels);
    ot_free(r);
}

ot_status ot_text_reader_start(ot_text_reader *r, uint64_t epoch, int64_t first_batch)
{
    if (first_batch < 0 || first_batch > r->batches)
        return ot_fail(OT_EARG, "batch %lld is not in an epoch of %lld", (long long)first_batch, (long long)r->batches);
    r->epoch = epoch;
    r->at = 0;
    r->next = first_batch;
    for (int64_t i = 0; i < first_batch && !r->order; i++)
        r->at += steps_of(r, i, r->at);
    const int64_t n = r->order ? r->x->windows[r->o.split] : 0;
    if (r->o.shuffle && r->order)
        ot_rng_permute(ot_rng_key(r->o.seed, ot_hash("shuffle"), epoch, (uint64_t)r->o.split), r->order, n);
    else
        for (int64_t i = 0; i < n; i++)
            r->order[i] = i;
    return OT_OK;
}

ot_status ot_text_reader_next(ot_text_reader *r, ot_batch *out)
{
    *out = (ot_batch){ 0 };
    if (r->x->o.stream)
        next_of_stream(r, out);
    else
        next_window(r, out);
    if (out->n == 0)
        return OT_OK;
    out->tokens = r->tokens;
    out->labels = r->labels;
    r->next++;
    return OT_OK;
}

int64_t ot_text_reader_batches(const ot_text_reader *r)
{
    return r->batches;
}
