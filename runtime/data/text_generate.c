/* Character models that write.  A model with a state is run a character at a time, and what becomes of its state is
 * handed in again; one without sees the last characters that fit its window. */
#include "base/rng.h"
#include "base/strmap.h"
#include "base/tensor.h"
#include "data/corpus.h"
#include "data/utf8.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

#define MOST_INPUTS 64
#define MOST_PROMPT 1000000

typedef struct writer {
    const ot_model *m;
    const ot_generate_options *o;
    ot_text_options text;
    ot_vocabulary vocabulary;
    ot_session *s;
    int64_t inputs;
    ot_tensor input[MOST_INPUTS];
    int64_t *tokens; /* the prompt, then all that was made */
    int64_t n;
    double *weight; /* [V] */
    const float *scores;
    int64_t classes;
} writer;

/* ---- The prompt ---------------------------------------------------------------------------------------------- */

static ot_status add_character(writer *w, uint32_t c)
{
    int64_t id = ot_vocabulary_find(&w->vocabulary, w->text.lower ? ot_utf8_lower(c) : c);
    char text[5] = { 0 };
    if (id < 0) {
        ot_utf8_encode(text, c);
        return ot_fail(OT_EDATA, "the prompt has '%s' (U+%04X), which the model's vocabulary lacks", text, (unsigned)c);
    }
    w->tokens[w->n++] = id;
    return OT_OK;
}

static ot_status read_prompt(writer *w)
{
    const char *p = w->o->prompt && *w->o->prompt ? w->o->prompt : NULL;
    size_t size = p ? strlen(p) : 1, at = 0;
    if (size > MOST_PROMPT || w->o->length > ((int64_t)1 << 40))
        return ot_fail(OT_EARG, "a prompt of %zu bytes and %lld characters to make", size, (long long)w->o->length);
    w->tokens = ot_malloc(size + (size_t)w->o->length + 1, sizeof(*w->tokens));
    if (!w->tokens)
        return OT_ENOMEM;
    if (!p) {
        bool line = ot_vocabulary_find(&w->vocabulary, '\n') >= 0;
        return add_character(w, line ? '\n' : w->vocabulary.code[0]);
    }
    while (at < size) {
        uint32_t c;
        size_t k = ot_utf8_decode(&c, (const uint8_t *)p + at, size - at);
        if (k == 0)
            return ot_fail(OT_EDATA, "byte %zu of the prompt (0x%02x) is no text in UTF-8", at, (uint8_t)p[at]);
        OT_TRY(add_character(w, c));
        at += k;
    }
    return OT_OK;
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

/* States of a batch of one, zeros. */
static ot_status make_states(writer *w)
{
    for (int64_t i = 1; i < w->inputs; i++) {
        ot_tensor want;
        OT_TRY(ot_session_input(w->s, i, &want));
        if (want.rank < 1 || want.dtype != OT_FLOAT)
            return ot_fail(OT_EUNSUPPORTED, "input '%s' is no state of float32", ot_session_input_name(w->s, i));
        for (int k = 0; k < want.rank; k++)
            want.dim[k] = want.dim[k] < 0 ? 1 : want.dim[k];
        ot_tensor *t = &w->input[i];
        size_t bytes;
        *t = want;
        OT_TRY(ot_bytes(&bytes, t->dtype, t->rank, t->dim));
        if (!(t->data = ot_calloc(bytes + 1, 1)))
            return OT_ENOMEM;
    }
    return OT_OK;
}

static ot_status keep_states(writer *w)
{
    for (int64_t i = 1; i < w->inputs; i++) {
        const ot_tensor *next = ot_session_output(w->s, i);
        ot_tensor *t = &w->input[i];
        if (!next || next->dtype != t->dtype || next->rank != t->rank ||
            memcmp(next->dim, t->dim, (size_t)t->rank * sizeof(*t->dim)) != 0)
            return ot_fail(OT_ESHAPE, "output '%s' does not have the shape of state '%s'",
                           ot_session_output_name(w->s, i), ot_session_input_name(w->s, i));
        memcpy(t->data, next->data, ot_tensor_bytes(t));
    }
    return OT_OK;
}

/* Runs on tokens from .. from+steps-1; the scores behind the last one become w->scores. */
static ot_status run_on(writer *w, int64_t from, int64_t steps)
{
    w->input[0] = (ot_tensor){ .dtype = OT_INT64, .rank = 2, .dim = { steps, 1 }, .data = w->tokens + from };
    if (w->text.batch_first)
        w->input[0] = (ot_tensor){ .dtype = OT_INT64, .rank = 2, .dim = { 1, steps }, .data = w->tokens + from };
    OT_TRY(ot_session_run(w->s, w->input, w->inputs));
    const ot_tensor *y = ot_session_output(w->s, 0);
    w->classes = y->rank > 0 ? y->dim[y->rank - 1] : 0;
    if (y->dtype != OT_FLOAT || w->classes != w->vocabulary.n || ot_tensor_count(y) < w->classes)
        return ot_fail(OT_ESHAPE, "the model gives scores %s, its vocabulary has %lld entries",
                       OT_DIMS(y->rank, y->dim), (long long)w->vocabulary.n);
    w->scores = (const float *)y->data + (ot_tensor_count(y) - w->classes);
    return keep_states(w);
}

/* Reads what was not read yet. */
static ot_status advance(writer *w, int64_t *read)
{
    const int64_t window = w->text.steps;
    if (!w->text.stream) {
        if (w->n < window)
            return ot_fail(OT_EARG, "the prompt has %lld characters, the model sees %lld at once", (long long)w->n,
                           (long long)window);
        return run_on(w, w->n - window, window);
    }
    if (window > 1)
        return ot_fail(OT_EUNSUPPORTED, "the model's state goes on by %lld characters at once, not by one",
                       (long long)window);
    OT_TRY(run_on(w, *read, window ? 1 : w->n - *read));
    *read = w->n;
    return OT_OK;
}

/* Draws from softmax(scores / temperature); marks are never written. */
static ot_status choose(writer *w, int64_t number, int64_t *id)
{
    const ot_vocabulary *v = &w->vocabulary;
    double most = -HUGE_VAL, sum = 0;
    int64_t best = v->id[0];
    for (int64_t k = 0; k < v->n - v->marks; k++)
        if ((double)w->scores[v->id[k]] > most) {
            most = (double)w->scores[v->id[k]];
            best = v->id[k];
        }
    *id = best;
    if (!isfinite(most))
        return ot_fail(OT_EDATA, "the model's scores are not finite");
    if (w->o->temperature == 0)
        return OT_OK;
    for (int64_t k = 0; k < v->n - v->marks; k++)
        sum += w->weight[k] = exp(((double)w->scores[v->id[k]] - most) / w->o->temperature);
    double left = sum * ot_rng_uniform(ot_rng_key(w->o->seed, ot_hash("generate"), 0, 0), (uint64_t)number);
    for (int64_t k = 0; k < v->n - v->marks; k++)
        if ((left -= w->weight[k]) < 0) {
            *id = v->id[k];
            return OT_OK;
        }
    return OT_OK;
}

static ot_status write_text(writer *w)
{
    int64_t read = 0;
    for (int64_t i = 0; i < w->o->length; i++) {
        int64_t id;
        OT_TRY(advance(w, &read));
        OT_TRY(choose(w, i, &id));
        w->tokens[w->n++] = id;
        const char *text = w->vocabulary.names->name[id];
        if (w->o->text && !w->o->text(w->o->ctx, text, strlen(text)))
            return ot_fail(OT_ESTOPPED, "stopped after %lld characters", (long long)i + 1);
    }
    return OT_OK;
}

static ot_status begin(writer *w)
{
    const ot_generate_options *o = w->o;
    ot_session_options so = OT_SESSION_INIT;
    so.threads = o->threads;
    so.memory = o->memory;
    OT_TRY(ot_text_options_from_model(&w->text, w->m));
    if (!w->text.vocabulary)
        return ot_fail(OT_EDATA, "the model says nothing of its characters: it has no metadata onnxtune.vocab");
    if (!(o->temperature >= 0) || !(o->temperature < HUGE_VAL) || o->length < 0)
        return ot_fail(OT_EARG, "temperature %g or length %lld", o->temperature, (long long)o->length);
    ot_status st = ot_vocabulary_parse(&w->vocabulary, w->text.vocabulary);
    if (st != OT_OK)
        return ot_context(st, "metadata onnxtune.vocab");
    OT_TRY(read_prompt(w));
    w->weight = ot_calloc((size_t)w->vocabulary.n, sizeof(*w->weight));
    if (!w->weight)
        return OT_ENOMEM;
    OT_TRY(ot_session_create(&w->s, w->m, &so));
    w->inputs = ot_session_input_count(w->s);
    if (w->inputs < 1 || w->inputs > MOST_INPUTS || ot_session_output_count(w->s) < w->inputs)
        return ot_fail(OT_EUNSUPPORTED,
                       "the model has %lld inputs and %lld outputs: each state wants an output that "
                       "follows it",
                       (long long)w->inputs, (long long)ot_session_output_count(w->s));
    return make_states(w);
}

ot_status ot_text_generate(const ot_model *m, const ot_generate_options *o)
{
    writer w = { .m = m, .o = o, .text = OT_TEXT_INIT };
    ot_status st = begin(&w);
    if (st == OT_OK)
        st = write_text(&w);
    for (int64_t i = 1; i < w.inputs && i < MOST_INPUTS; i++)
        ot_free(w.input[i].data);
    ot_vocabulary_release(&w.vocabulary);
    ot_session_close(w.s);
    ot_free(w.tokens);
    ot_free(w.weight);
    return st;
}
