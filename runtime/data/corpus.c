/* A text file as a data set of characters. */
#include "data/corpus.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "data/utf8.h"

#include <math.h>
#include <string.h>

#define MOST_BYTES ((size_t)1 << 30)

static ot_status decode(uint32_t *out, int64_t *n, const uint8_t *bytes, size_t size, bool lower)
{
    static const uint8_t mark[] = { 0xEF, 0xBB, 0xBF }; /* of byte order */
    size_t at = size >= sizeof(mark) && memcmp(bytes, mark, sizeof(mark)) == 0 ? sizeof(mark) : 0;
    *n = 0;
    while (at < size) {
        uint32_t c;
        size_t k = ot_utf8_decode(&c, bytes + at, size - at);
        if (k == 0 || c == 0)
            return ot_fail(OT_EDATA, "byte %zu (0x%02x) is no text in UTF-8", at, bytes[at]);
        out[(*n)++] = lower ? ot_utf8_lower(c) : c;
        at += k;
    }
    return *n ? OT_OK : ot_fail(OT_EDATA, "the text is empty");
}

ot_status ot_text_read(uint32_t **out, int64_t *n, const char *path, bool lower)
{
    uint8_t *bytes;
    size_t size;
    OT_TRY(ot_file_read(&bytes, &size, path, MOST_BYTES));
    *out = ot_malloc(size + 1, sizeof(**out));
    ot_status st = *out ? decode(*out, n, bytes, size, lower) : OT_ENOMEM;
    ot_free(bytes);
    if (st == OT_OK)
        return OT_OK;
    ot_free(*out);
    *out = NULL;
    return st == OT_EDATA ? ot_context(st, "%s", path) : st;
}

ot_status ot_text_vocabulary(char **out, int64_t *n, const char *path, const ot_text_options *o)
{
    uint32_t *text;
    int64_t count;
    ot_vocabulary v;
    *out = NULL;
    if (o->min_count < 1)
        return ot_fail(OT_EARG, "min_count is %lld, at least 1 is wanted", (long long)o->min_count);
    OT_TRY(ot_text_read(&text, &count, path, o->lower));
    ot_status st = ot_vocabulary_make(&v, text, count, o->min_count);
    ot_free(text);
    OT_TRY(st);
    *n = v.n;
    st = ot_vocabulary_text(out, &v);
    ot_vocabulary_release(&v);
    return st;
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static ot_status check(const ot_text_options *o)
{
    if (o->min_count < 1 || o->steps < 0 || o->stride < 0 || o->bptt < 1 || o->steps > 1000000 || o->bptt > 1000000)
        return ot_fail(OT_EARG, "text: min_count %lld, steps %lld, stride %lld, bptt %lld", (long long)o->min_count,
                       (long long)o->steps, (long long)o->stride, (long long)o->bptt);
    if (!(o->valid_fraction < 1))
        return ot_fail(OT_EARG, "a share of %g of the text would validate", o->valid_fraction);
    if (!o->stream && o->steps < 1)
        return ot_fail(OT_EARG, "windows of %lld characters", (long long)o->steps);
    return OT_OK;
}

/* Characters as numbers, behind those that are there. */
static ot_status add_tokens(ot_corpus *x, int64_t at, const uint32_t *text, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t id = ot_vocabulary_find(&x->vocabulary, text[i]);
        if (id < 0) {
            char c[5] = { 0 };
            ot_utf8_encode(c, text[i]);
            return ot_fail(OT_EDATA, "character %lld is '%s' (U+%04X), which the vocabulary lacks", (long long)i, c,
                           (unsigned)text[i]);
        }
        x->token[at + i] = (int32_t)id;
    }
    return OT_OK;
}

static double share(const ot_text_options *o)
{
    return o->valid_fraction >= 0 ? o->valid_fraction : o->stream ? 0.18 : 0.2;
}

/* Windows that n characters hold; each has a character that follows its last one, and the course leaves one out. */
static int64_t count_windows(const ot_text_options *o, int64_t n)
{
    int64_t most = n - o->steps - 1;
    return most > 0 ? (most - 1) / o->stride + 1 : 0;
}

static ot_status split(ot_corpus *x, int64_t n, int64_t n_valid)
{
    const ot_text_options *o = &x->o;
    x->size[OT_TRAIN] = n;
    x->part[OT_VALID] = n;
    x->size[OT_VALID] = n_valid;
    if (o->stream && !o->valid) {
        x->size[OT_TRAIN] = n - (int64_t)llround(share(o) * (double)n);
        x->part[OT_VALID] = x->size[OT_TRAIN];
        x->size[OT_VALID] = n - x->size[OT_TRAIN];
    }
    if (o->stream)
        return OT_OK;
    for (int s = 0; s < 2; s++)
        x->windows[s] = count_windows(o, x->size[s]);
    if (o->valid)
        return OT_OK;
    int64_t all = x->windows[OT_TRAIN];
    x->window = ot_malloc((size_t)all + 1, sizeof(*x->window));
    if (!x->window)
        return OT_ENOMEM;
    ot_rng_permute(ot_rng_key(o->seed, ot_hash("text split"), 0, 0), x->window, all);
    x->part[OT_VALID] = 0;
    x->size[OT_VALID] = n;
    x->windows[OT_VALID] = (int64_t)(share(o) * (double)all);
    x->windows[OT_TRAIN] = all - x->windows[OT_VALID];
    return OT_OK;
}

static ot_status tokenize(ot_corpus *x, const uint32_t *text, int64_t n, const uint32_t *valid, int64_t n_valid,
                          const char *path)
{
    if (x->o.vocabulary)
        OT_TRY(ot_vocabulary_parse(&x->vocabulary, x->o.vocabulary));
    else
        OT_TRY(ot_vocabulary_make(&x->vocabulary, text, n, x->o.min_count));
    x->token = ot_malloc((size_t)(n + n_valid), sizeof(*x->token));
    if (!x->token)
        return OT_ENOMEM;
    ot_status st = add_tokens(x, 0, text, n);
    if (st != OT_OK)
        return ot_context(st, "%s", path);
    st = add_tokens(x, n, valid, n_valid);
    return st == OT_OK ? split(x, n, n_valid) : ot_context(st, "%s", x->o.valid);
}

static ot_status read_all(ot_corpus *x, const char *path)
{
    uint32_t *text = NULL, *valid = NULL;
    int64_t n = 0, n_valid = 0;
    ot_status st = ot_text_read(&text, &n, path, x->o.lower);
    if (st == OT_OK && x->o.valid)
        st = ot_text_read(&valid, &n_valid, x->o.valid, x->o.lower);
    if (st == OT_OK)
        st = tokenize(x, text, n, valid, n_valid, path);
    ot_free(text);
    ot_free(valid);
    OT_TRY(st);
    int64_t least = x->o.stream ? 2 : x->o.steps + 2;
    if (x->size[OT_TRAIN] < least)
        return ot_context(ot_fail(OT_EDATA, "%lld characters to train on, at least %lld are wanted",
                                  (long long)x->size[OT_TRAIN], (long long)least),
                          "%s", path);
    return OT_OK;
}

/* Of all that decides on the batches of a seed. */
static uint64_t mark_of(const ot_corpus *x)
{
    const ot_text_options *o = &x->o;
    const int64_t number[] = { o->stream, o->each,           o->batch_first,    o->steps,        o->stride,
                               o->bptt,   x->size[OT_TRAIN], x->size[OT_VALID], (int64_t)o->seed };
    uint64_t h = ot_rng_key((uint64_t)x->vocabulary.n, ot_hash("text"), 0, 0);
    for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
        h = ot_rng_key(h, (uint64_t)number[i], i, 0);
    for (int64_t i = 0; i < x->size[OT_TRAIN]; i++)
        h = (h ^ (uint64_t)x->token[i]) * 0x100000001b3u;
    return h;
}

static void close_text(void *ctx)
{
    ot_corpus *x = ctx;
    ot_vocabulary_release(&x->vocabulary);
    ot_free(x->token);
    ot_free(x->window);
    ot_free(x);
}

ot_status ot_text_open(ot_dataset **out, const char *path, const ot_text_options *o)
{
    *out = NULL;
    OT_TRY(check(o));
    ot_corpus *x = ot_calloc(1, sizeof(*x));
    if (!x)
        return OT_ENOMEM;
    x->o = *o;
    if (!x->o.stride)
        x->o.stride = o->each ? o->steps : 1;
    ot_status st = read_all(x, path);
    if (st != OT_OK) {
        close_text(x);
        return st;
    }
    x->o.vocabulary = x->o.valid = NULL;
    for (int s = 0; s < 2; s++)
        x->d.count[s] = o->stream ? x->size[s] - (x->size[s] > 0) : x->windows[s];
    x->d.ctx = x->d.text = x;
    x->d.each = o->each;
    x->d.batch_first = o->batch_first;
    x->d.steps = o->steps ? o->steps : o->bptt;
    x->d.mark = mark_of(x);
    x->d.classes = x->vocabulary.n;
    x->d.class_names = (const char *const *)x->vocabulary.names->name;
    x->d.close = close_text;
    *out = &x->d;
    return OT_OK;
}
