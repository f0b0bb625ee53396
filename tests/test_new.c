/* The nets of models/: every one is a valid model that runs, with the weights that its seed draws. */
#include "harness.h"
#include "net.h"
#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* Runs m on two sequences of this many characters, states of zeros, and checks what comes out. */
static void run_text(const ot_model *m, const ot_net_info *i, int64_t steps)
{
    static int64_t text[2 * 16];
    ot_session *s;
    ot_tensor in[3] = { { .dtype = OT_INT64, .rank = 2, .dim = { steps, 2 }, .data = text } };
    if (!CHECK_OK(ot_session_create(&s, m, NULL)))
        return;
    int64_t n = ot_session_input_count(s);
    float *zeros = ot_calloc((size_t)(2 * i->hidden * 4), sizeof(*zeros));
    for (int64_t k = 1; k < n; k++)
        in[k] = (ot_tensor){ OT_FLOAT, 3, { i->layers ? i->layers : 1, 2, i->hidden }, zeros };
    CHECK(n == ot_session_output_count(s));
    if (CHECK_OK(ot_session_run(s, in, n))) {
        const ot_tensor *y = ot_session_output(s, 0);
        double sum = 0;
        CHECK(y->dim[y->rank - 1] == i->classes && ot_tensor_count(y) % i->classes == 0);
        for (int64_t k = 0; k < i->classes; k++)
            sum += exp(ot_tensor_get(y, k));
        CHECK(fabs(sum - 1) < 1e-5);
        for (int64_t k = 1; k < n; k++)
            CHECK(ot_tensor_count(ot_session_output(s, k)) == ot_tensor_count(&in[k]));
    }
    ot_free(zeros);
    ot_session_close(s);
}

/* A picture of zeros. */
static void run_image(const ot_model *m, const ot_net_info *i)
{
    ot_session *s;
    float *zeros = ot_calloc((size_t)(2 * 3 * i->size * i->size), sizeof(*zeros));
    ot_tensor in = { OT_FLOAT, 4, { 2, 3, i->size, i->size }, zeros };
    if (CHECK_OK(ot_session_create(&s, m, NULL)) && CHECK_OK(ot_session_run(s, &in, 1))) {
        const ot_tensor *y = ot_session_output(s, 0);
        CHECK(y->rank == 2 && y->dim[0] == 2 && y->dim[1] == i->classes);
    }
    ot_session_close(s);
    ot_free(zeros);
}

static int64_t parameters_of(const ot_model *m)
{
    static const char *const statistics[] = { ".norm.mean", ".norm.var", "dropout.ratio" };
    int64_t all = 0;
    for (int64_t i = 0; i < ot_model_initializer_count(m); i++) {
        const char *name = ot_model_initializer_name(m, i);
        ot_tensor *t = net_weight(m, name);
        all += ot_tensor_count(t);
        for (int k = 0; k < 3; k++)
            if (strstr(name, statistics[k]))
                all -= ot_tensor_count(t);
        ot_tensor_free(t);
    }
    return all;
}

/* As many as the course's nets have. */
static void sizes(void)
{
    static const struct {
        const char *name;
        int64_t parameters;
    } nets[] = { { "cifar-fc", 123330 },      { "cifar-conv", 37490 },    { "cifar-bn", 155970 },
                 { "cifar-deep-bn", 462570 }, { "cifar-resnet", 769170 }, { "cifar-resnet-wide", 1966234 } };
    for (int i = 0; i < 6; i++) {
        ot_new_options o = OT_NEW_INIT;
        ot_model *m;
        if (!CHECK_OK(ot_model_new(&m, nets[i].name, &o)))
            continue;
        CHECK(parameters_of(m) == nets[i].parameters);
        ot_model_close(m);
    }
}

static void all_run(void)
{
    const ot_net_info *i;
    for (int64_t k = 0; (i = ot_net_get(k)); k++) {
        ot_new_options o = OT_NEW_INIT;
        ot_model *m;
        int64_t findings;
        if (!CHECK_OK(ot_model_new(&m, i->name, &o)))
            continue;
        CHECK_OK(ot_model_check(&findings, m, NULL, NULL));
        CHECK(findings == 0);
        if (i->kind == OT_NET_TEXT)
            run_text(m, i, i->steps ? i->steps : 5);
        else
            run_image(m, i);
        ot_model_close(m);
    }
    CHECK(ot_net_get(-1) == NULL);
}

static void seeds(void)
{
    ot_new_options o = OT_NEW_INIT;
    ot_model *a, *b, *c;
    CHECK_OK(ot_model_new(&a, "char-rnn", &o));
    CHECK_OK(ot_model_new(&b, "char-rnn", &o));
    o.seed = 43;
    CHECK_OK(ot_model_new(&c, "char-rnn", &o));
    CHECK(net_all_same(a, b) && !net_same(a, c, "layer.0.W"));
    ot_model_close(a);
    ot_model_close(b);
    ot_model_close(c);
}

/* PyTorch's: +-1/sqrt(hidden) in recurrent layers, +-1/sqrt(inputs) in linear ones, a normal embedding. */
static void weights(void)
{
    ot_new_options o = OT_NEW_INIT;
    ot_model *m;
    CHECK_OK(ot_model_new(&m, "char-gru", &o));
    struct {
        const char *name;
        double bound;
    } uniform[] = {
        { "layer.0.W", 1. / 16 }, { "layer.0.R", 1. / 16 }, { "layer.0.B", 1. / 16 }, { "output.weight", 1. / 16 }
    };
    for (int i = 0; i < 4; i++) {
        ot_tensor *t = net_weight(m, uniform[i].name);
        double most = 0, sum = 0;
        for (int64_t k = 0; k < ot_tensor_count(t); k++) {
            most = fmax(most, fabs(ot_tensor_get(t, k)));
            sum += ot_tensor_get(t, k);
        }
        CHECK(most <= uniform[i].bound && most > 0.98 * uniform[i].bound);
        CHECK(fabs(sum / (double)ot_tensor_count(t)) < 0.1 * uniform[i].bound);
        ot_tensor_free(t);
    }
    ot_tensor *e = net_weight(m, "embedding.weight");
    double squares = 0;
    for (int64_t k = 0; k < ot_tensor_count(e); k++)
        squares += ot_tensor_get(e, k) * ot_tensor_get(e, k);
    CHECK(fabs(squares / (double)ot_tensor_count(e) - 1) < 0.1);
    ot_tensor_free(e);
    ot_model_close(m);
    o.init = "identity";
    o.hidden = 5;
    CHECK_OK(ot_model_new(&m, "char-sequence", &o));
    ot_tensor *r = net_weight(m, "rnn.R");
    for (int64_t k = 0; k < 25; k++)
        CHECK(ot_tensor_get(r, k) == (k / 5 == k % 5));
    ot_tensor_free(r);
    ot_model_close(m);
}

static void refused(void)
{
    ot_new_options o = OT_NEW_INIT;
    ot_model *m;
    CHECK_FAILS(ot_model_new(&m, "nosuch", &o), OT_EARG, "nosuch");
    CHECK(m == NULL);
    o.size = 32;
    CHECK_FAILS(ot_model_new(&m, "char-gru", &o), OT_EARG, "size");
    o = (ot_new_options)OT_NEW_INIT;
    o.layers = 2;
    CHECK_FAILS(ot_model_new(&m, "char-loop", &o), OT_EARG, "layers");
    o.layers = -1;
    CHECK_FAILS(ot_model_new(&m, "char-gru", &o), OT_EARG, "layers is -1");
    o.layers = 0;
    o.hidden = 1 << 20;
    CHECK_FAILS(ot_model_new(&m, "char-gru", &o), OT_EARG, "hidden is 1048576");
    o.hidden = 0;
    o.dropout = 1;
    CHECK_FAILS(ot_model_new(&m, "char-lstm", &o), OT_EARG, "dropout");
    o.dropout = .5;
    CHECK_FAILS(ot_model_new(&m, "char-gru", &o), OT_EARG, "dropout");
}

static void out_of_memory(void)
{
    ot_new_options o = OT_NEW_INIT;
    o.hidden = 8;
    const int64_t live = ot_live_blocks();
    for (int64_t n = 0;; n += 7) {
        ot_model *m;
        ot_fail_alloc_after(n);
        ot_status st = ot_model_new(&m, "char-lstm", &o);
        ot_fail_alloc_after(-1);
        ot_model_close(m);
        if (!CHECK(st == OT_OK || st == OT_ENOMEM) || st == OT_OK)
            break;
    }
    CHECK(ot_live_blocks() == live);
}

const ot_test new_tests[] = { { "all_run", all_run },
                              { "seeds", seeds },
                              { "sizes", sizes },
                              { "weights", weights },
                              { "refused", refused },
                              { "out_of_memory", out_of_memory },
                              { 0 } };
