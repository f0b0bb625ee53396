/* Character models trained on small texts: they learn, carry their states, resume to the same bits, and write. */
#include "harness.h"
#include "net.h"
#include "text_file.h"
#include "base/alloc.h"
#include "model/edit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ot_train_options options(void)
{
    ot_train_options o = OT_TRAIN_INIT;
    o.optimizer = OT_ADAM;
    o.lr[0] = 0.01;
    o.batch = 8;
    o.epochs = 2;
    o.threads = 1;
    return o;
}

/* A small net of this name for the text, which stays open. */
static ot_model *make(const char *name, const char *path, ot_dataset **d)
{
    ot_text_options to = OT_TEXT_INIT;
    ot_new_options no = OT_NEW_INIT;
    ot_model *m = NULL;
    char *vocabulary;
    *d = NULL;
    no.hidden = 24;
    no.embed = 8;
    if (!CHECK_OK(ot_text_vocabulary(&vocabulary, &no.classes, path, &to)))
        return NULL;
    if (CHECK_OK(ot_model_new(&m, name, &no))) {
        CHECK_OK(ot_text_options_from_model(&to, m));
        to.vocabulary = vocabulary;
        if (CHECK_OK(ot_text_open(d, path, &to)))
            CHECK_OK(ot_text_describe(m, *d));
    }
    ot_text_free(vocabulary);
    return m;
}

typedef struct watch {
    double first, last, valid, accuracy;
    int64_t batches, stop_at;
} watch;

static bool on_event(void *ctx, const ot_event *e)
{
    watch *w = ctx;
    if (e->kind == OT_BATCH_END) {
        if (w->batches++ == 0)
            w->first = e->batch_loss;
        w->last = e->loss;
    }
    if (e->kind == OT_EPOCH_END) {
        w->valid = e->valid_loss;
        w->accuracy = e->valid_accuracy;
    }
    return !(e->kind == OT_BATCH_END && w->batches == w->stop_at);
}

static ot_status train(ot_model *m, const ot_dataset *d, const ot_train_options *o, watch *w)
{
    ot_trainer *t;
    ot_status st = ot_trainer_create(&t, m, d, o);
    if (st == OT_OK)
        st = ot_trainer_run(t, on_event, w);
    ot_trainer_close(t);
    return st;
}

/* Every net learns the sentences, and evaluation says what validation said. */
static void learns(void)
{
    const char *path = text_sentences("learn", 12000);
    const ot_net_info *i;
    for (int64_t k = 0; (i = ot_net_get(k)); k++) {
        watch w = { 0 };
        ot_dataset *d;
        ot_model *m = i->kind == OT_NET_TEXT ? make(i->name, path, &d) : NULL;
        if (!m)
            continue;
        ot_train_options o = options();
        if (CHECK_OK(train(m, d, &o, &w))) {
            if (!CHECK(w.last < 0.7 * w.first && w.valid < 1.3 && w.accuracy > 0.5))
                printf("    %s: %g -> %g, valid %g, %g\n", i->name, w.first, w.last, w.valid, w.accuracy);
            ot_eval_options eo = OT_EVAL_INIT;
            ot_eval_result r;
            eo.batch = 8;
            if (CHECK_OK(ot_evaluate(&r, m, d, &eo))) {
                CHECK(fabs(r.loss - w.valid) < 0.02 && fabs(r.accuracy - w.accuracy) < 0.01 && r.samples > 300);
                CHECK(r.classes == d->classes && !r.probability && !r.confusion);
            }
            ot_eval_result_release(&r);
        }
        ot_dataset_close(d);
        ot_model_close(m);
    }
}

/* The text "0101..." with a pause every 7: what comes next hangs on characters of the batch before. */
static void carries_its_state(void)
{
    char text[4097] = "";
    ot_text_options to = OT_TEXT_INIT;
    for (int i = 0; i < 4096; i++)
        text[i] = i % 7 ? 'a' : 'b';
    const char *path = text_file("pause", text, 4096);
    ot_dataset *d;
    ot_model *m = make("char-gru", path, &d);
    watch w = { 0 };
    ot_train_options o = options();
    o.epochs = 20;
    o.batch = 4;
    ot_dataset_close(d);
    CHECK_OK(ot_text_options_from_model(&to, m));
    to.bptt = 2; /* alone, two characters do not tell where the next pause is */
    to.valid_fraction = 0.25;
    if (CHECK_OK(ot_text_open(&d, path, &to)) && CHECK_OK(train(m, d, &o, &w)))
        CHECK(w.valid < 0.1 && w.accuracy > 0.97);
    ot_dataset_close(d);
    ot_model_close(m);
}

static void remove_folder(const char *folder)
{
    char path[1024];
    for (int i = 0; i < 2000; i++) {
        snprintf(path, sizeof(path), "%s/step-%d.onnx", folder, i);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/latest", folder);
    unlink(path);
    rmdir(folder);
}

/* In sittings of `each` batches, and in one go: the same bits, states and dropout included. */
static void in_sittings(const char *name, int64_t each, int64_t accumulate, int threads)
{
    char folder[512];
    const char *path = text_sentences("resume", 4000);
    ot_dataset *d;
    watch whole = { 0 }, part = { .stop_at = each };
    ot_train_options o = options();
    ot_model *a = make(name, path, &d), *b = NULL;
    snprintf(folder, sizeof(folder), "%s", test_tmp("text.ckpt"));
    remove_folder(folder);
    o.accumulate = accumulate;
    o.epochs = 3;
    CHECK_OK(train(a, d, &o, &whole));
    o.checkpoint = folder;
    o.threads = threads;
    ot_status st = OT_ESTOPPED;
    for (int n = 0; st == OT_ESTOPPED && n < 100; n++) {
        ot_dataset_close(d);
        ot_model_close(b);
        b = make(name, path, &d);
        part.batches = 0;
        o.resume = n ? folder : NULL;
        st = train(b, d, &o, &part);
    }
    CHECK(st == OT_OK && net_all_same(a, b) && part.valid == whole.valid && part.last == whole.last);
    o.seed++;
    CHECK_FAILS(train(b, d, &o, &part), OT_EARG, "the checkpoint was made with");
    remove_folder(folder);
    ot_dataset_close(d);
    ot_model_close(a);
    ot_model_close(b);
}

static void resumes(void)
{
    in_sittings("char-lstm", 11, 1, 1);
    in_sittings("char-gru", 7, 3, 2);
    in_sittings("char-cell", 13, 1, 3);
    in_sittings("char-window", 40, 1, 2);
}

/* Stopped while it validates: the states are put back, since the resumed run validates again. */
typedef struct halter {
    ot_trainer *t;
    int64_t batches, of_epoch;
} halter;

static bool halt(void *ctx, const ot_event *e)
{
    halter *h = ctx;
    if (e->kind == OT_BATCH_END && ++h->batches == h->of_epoch)
        ot_trainer_stop(h->t);
    return true;
}

static void stopped_validation(void)
{
    char folder[512];
    const char *path = text_sentences("resume", 4000);
    ot_dataset *d, *first;
    watch whole = { 0 }, rest = { 0 };
    ot_train_options o = options();
    ot_model *a = make("char-rnn", path, &first), *b = make("char-rnn", path, &d);
    snprintf(folder, sizeof(folder), "%s", test_tmp("valid.ckpt"));
    remove_folder(folder);
    CHECK_OK(train(a, first, &o, &whole));
    o.checkpoint = folder;
    for (int64_t k = 40; k < 60; k++) { /* the epoch's last batch is one of these */
        halter h = { .of_epoch = k };
        if (!CHECK_OK(ot_trainer_create(&h.t, b, d, &o)))
            break;
        ot_status st = ot_trainer_run(h.t, halt, &h);
        ot_trainer_close(h.t);
        CHECK(st == OT_ESTOPPED);
        ot_model_close(b);
        ot_dataset_close(d);
        b = make("char-rnn", path, &d);
        o.resume = folder;
        CHECK_OK(train(b, d, &o, &rest));
        CHECK(net_all_same(a, b) && rest.valid == whole.valid);
        o.resume = NULL;
        ot_model_close(b);
        ot_dataset_close(d);
        b = make("char-rnn", path, &d);
    }
    remove_folder(folder);
    ot_dataset_close(d);
    ot_dataset_close(first);
    ot_model_close(a);
    ot_model_close(b);
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

static bool collect(void *ctx, const char *bytes, size_t n)
{
    strncat(ctx, bytes, n);
    return strlen(ctx) < 60;
}

static void writes(void)
{
    const char *path = text_sentences("write", 12000);
    ot_dataset *d;
    ot_model *m = make("char-gru", path, &d);
    watch w = { 0 };
    ot_train_options o = options();
    CHECK_OK(train(m, d, &o, &w));
    char a[128] = "", b[128] = "", c[128] = "";
    ot_generate_options g = OT_GENERATE_INIT;
    g.prompt = "the ";
    g.length = 50;
    g.text = collect;
    g.ctx = a;
    CHECK_OK(ot_text_generate(m, &g));
    g.ctx = b;
    g.threads = 2;
    CHECK_OK(ot_text_generate(m, &g));
    g.ctx = c;
    g.seed = 7;
    CHECK_OK(ot_text_generate(m, &g));
    CHECK(strlen(a) == 50 && strcmp(a, b) == 0 && strcmp(a, c) != 0);
    b[0] = c[0] = 0;
    g.temperature = 0;
    CHECK_OK(ot_text_generate(m, &g));
    g.ctx = b;
    g.seed = 8;
    CHECK_OK(ot_text_generate(m, &g));
    CHECK(strcmp(b, c) == 0 && strstr(b, " ")); /* the likeliest hangs on no seed */
    g.length = 100;
    b[0] = 0;
    CHECK_FAILS(ot_text_generate(m, &g), OT_ESTOPPED, "after 60");
    g.length = 1;
    g.prompt = NULL;
    b[0] = 0;
    CHECK_OK(ot_text_generate(m, &g));
    g.length = 0;
    CHECK_OK(ot_text_generate(m, &g));
    g.prompt = "the #";
    CHECK_FAILS(ot_text_generate(m, &g), OT_EDATA, "'#' (U+0023)");
    g.prompt = "the \xFF";
    CHECK_FAILS(ot_text_generate(m, &g), OT_EDATA, "byte 4 of the prompt");
    g.prompt = "t";
    g.temperature = -1;
    CHECK_FAILS(ot_text_generate(m, &g), OT_EARG, "temperature -1");
    g.temperature = 1;
    g.length = -1;
    CHECK_FAILS(ot_text_generate(m, &g), OT_EARG, "length -1");
    ot_dataset_close(d);
    ot_model_close(m);
    m = make("char-window", path, &d);
    g.length = 5;
    CHECK_FAILS(ot_text_generate(m, &g), OT_EARG, "1 characters, the model sees 8");
    g.prompt = "the cat sat";
    b[0] = 0;
    CHECK_OK(ot_text_generate(m, &g));
    CHECK(strlen(b) == 5);
    CHECK_OK(ot_model_set_metadata(m, "onnxtune.vocab", "[\"a\", \"t\"]"));
    g.prompt = "tatatatata";
    CHECK_FAILS(ot_text_generate(m, &g), OT_ESHAPE, "2 entries");
    CHECK_OK(ot_model_set_metadata(m, "onnxtune.vocab", NULL));
    CHECK_FAILS(ot_text_generate(m, &g), OT_EDATA, "onnxtune.vocab");
    ot_dataset_close(d);
    ot_model_close(m);
}

/* ---- What does not fit ----------------------------------------------------------------------------------------- */

static void refused(void)
{
    const char *path = text_sentences("refused", 3000);
    ot_dataset *d;
    ot_model *m = make("char-gru", path, &d);
    ot_train_options o = options();
    ot_trainer *t;
    watch w = { 0 };
    o.batch = 4000;
    CHECK_FAILS(ot_trainer_create(&t, m, d, &o), OT_EDATA, "in 4000 rows");
    o = options();
    o.loss = OT_LOSS_MSE;
    CHECK_FAILS(ot_trainer_create(&t, m, d, &o), OT_EARG, "text goes with cross-entropy");
    o = options();
    o.memory = 10000;
    CHECK_FAILS(ot_trainer_create(&t, m, d, &o), OT_ENOMEM, "the cap is 10000");
    ot_eval_options eo = OT_EVAL_INIT;
    ot_eval_result r;
    eo.tta = 4;
    CHECK_FAILS(ot_evaluate(&r, m, d, &eo), OT_EARG, "augmented");
    eo.tta = 0;
    eo.batch = 1000;
    CHECK_FAILS(ot_evaluate(&r, m, d, &eo), OT_EDATA, "in 1000 rows");
    /* A state that another output follows, or none. */
    Onnx__GraphProto *g = m->proto->graph;
    const ot_doc_dim wrong[] = { { 1, NULL }, { -1, "N" }, { 25, NULL } };
    CHECK_OK(ot_set_value_type(g->input[1], OT_FLOAT, 3, wrong));
    o = options();
    CHECK(ot_trainer_create(&t, m, d, &o) != OT_OK);
    const ot_doc_dim right[] = { { 1, NULL }, { -1, "N" }, { 24, NULL } };
    CHECK_OK(ot_set_value_type(g->input[1], OT_FLOAT, 3, right));
    const ot_doc_dim literal[] = { { 1, NULL }, { 5, NULL }, { 24, NULL } };
    CHECK_OK(ot_set_value_type(g->input[1], OT_FLOAT, 3, literal));
    CHECK(ot_trainer_create(&t, m, d, &o) != OT_OK); /* a batch of 8 */
    CHECK_OK(ot_set_value_type(g->input[1], OT_FLOAT, 3, right));
    ot_remove(&g->base, "output", 1);
    CHECK_FAILS(ot_trainer_create(&t, m, d, &o), OT_EUNSUPPORTED, "2 inputs and 1 outputs");
    (void)w;
    ot_dataset_close(d);
    ot_model_close(m);
    /* Other classes than the vocabulary has. */
    ot_new_options no = OT_NEW_INIT;
    no.classes = 50;
    m = NULL;
    ot_model *other = make("char-gru", path, &d);
    CHECK_OK(ot_model_new(&m, "char-gru", &no));
    CHECK(ot_trainer_create(&t, m, d, &o) != OT_OK);
    ot_dataset_close(d);
    ot_model_close(other);
    ot_model_close(m);
}

typedef struct rates {
    double first[8], last[8]; /* of each epoch */
    int64_t cycles, cycle_epoch[8];
} rates;

static bool see_rates(void *ctx, const ot_event *e)
{
    rates *r = ctx;
    if (e->kind == OT_BATCH_END && e->batch == 1)
        r->first[e->epoch] = e->lr;
    if (e->kind == OT_BATCH_END)
        r->last[e->epoch] = e->lr;
    if (e->kind == OT_CYCLE_END && r->cycles < 8)
        r->cycle_epoch[r->cycles++] = e->epoch;
    return true;
}

/* Epochs of a stream end early, and the rate changes where they do. */
static void rates_keep_to_epochs(void)
{
    const char *path = text_sentences("rates", 6000);
    ot_dataset *d;
    ot_model *m = make("char-gru", path, &d);
    ot_train_options o = options();
    ot_trainer *t;
    rates r = { 0 };
    o.schedule = OT_STEP;
    o.epochs = 6;
    o.decay_every = 2;
    if (CHECK_OK(ot_trainer_create(&t, m, d, &o)))
        CHECK_OK(ot_trainer_run(t, see_rates, &r));
    ot_trainer_close(t);
    for (int i = 0; i < 6; i++)
        CHECK(fabs(r.first[i] - 0.01 * pow(0.1, i / 2)) < 1e-7 && r.last[i] == r.first[i]);
    o.schedule = OT_CONSTANT;
    o.steps = 300; /* of epochs of 75 batches at most */
    watch w = { 0 };
    CHECK_OK(train(m, d, &o, &w));
    CHECK(w.batches == 300);
    o.steps = 0;
    o.schedule = OT_SGDR;
    o.cycles = 2;
    o.cycle_len = 1;
    o.cycle_mult = 2;
    r = (rates){ 0 };
    if (CHECK_OK(ot_trainer_create(&t, m, d, &o)))
        CHECK_OK(ot_trainer_run(t, see_rates, &r));
    ot_trainer_close(t);
    CHECK(r.cycles == 2 && r.cycle_epoch[0] == 0 && r.cycle_epoch[1] == 2);
    CHECK(fabs(r.first[0] - 0.01) < 1e-7 && fabs(r.first[1] - 0.01) < 1e-7 && r.first[2] < 0.006);
    ot_dataset_close(d);
    ot_model_close(m);
}

/* The rate finder goes over text too, and leaves the model as it was. */
static void finds_a_rate(void)
{
    const char *path = text_sentences("rate", 6000);
    ot_dataset *d;
    ot_model *m = make("char-gru", path, &d), *before = NULL;
    ot_train_options o = options();
    ot_lr_find_options fo = OT_LR_FIND_INIT;
    ot_lr_find_result r;
    CHECK_OK(ot_model_clone(&before, m));
    if (CHECK_OK(ot_lr_find(&r, m, d, &o, &fo, NULL, NULL)))
        CHECK(r.n > 20 && r.suggested > 1e-5 && r.suggested < 10 && net_all_same(m, before));
    ot_lr_find_result_release(&r);
    ot_dataset_close(d);
    ot_model_close(m);
    ot_model_close(before);
}

const ot_test text_train_tests[] = { { "learns", learns },
                                     { "carries its state", carries_its_state },
                                     { "resumes", resumes },
                                     { "a stopped validation", stopped_validation },
                                     { "writes", writes },
                                     { "refused", refused },
                                     { "rates keep to epochs", rates_keep_to_epochs },
                                     { "finds a rate", finds_a_rate },
                                     { 0 } };
