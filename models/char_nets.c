/* The character models of the course's lesson on recurrent nets.  All take characters int64 [T, N], time first, and
 * give log-probabilities of the next one: of all steps [T, N, V], or after the last [N, V].  Initial weights are
 * PyTorch's: embeddings normal, Linear layers uniform in +-1/sqrt(inputs), recurrent layers in +-1/sqrt(hidden).
 *
 * Those that carry a state have inputs h0 (and c0) [L, N, H] and outputs hn (and cn) in the same order, so that any
 * runtime can step them character by character. */
#include "net.h"

#include <math.h>
#include <string.h>

#define OPEN (-1)

/* Characters in, and their embeddings [T, N, E] as the value "embedded". */
static void begin(ot_net *n, int64_t steps)
{
    const ot_new_options *o = n->o;
    ot_net_input(n, "text", OT_INT64, 2, (const int64_t[]){ steps, OPEN }, "TN");
    ot_net_normal(n, "embedding.weight", 1, 2, (const int64_t[]){ o->classes, o->embed });
    OT_NET(n, "Gather", "embedded", "embedding.weight", "text");
}

/* The last layer; x is [T, N, H], or [N, H] without `each`. */
static void end(ot_net *n, const char *x, int64_t steps, bool each)
{
    const ot_new_options *o = n->o;
    const int64_t dim[] = { steps, OPEN, o->classes };
    ot_net_linear(n, "output", "scores", x, o->hidden, o->classes, true);
    OT_NET(n, "LogSoftmax", "prediction", "scores");
    ot_net_int(n, "axis", -1);
    ot_net_output(n, "prediction", OT_FLOAT, 2 + each, dim + !each, each ? "TN." : "N.");
}

static const char *const cells[] = { "RNN", "GRU", "LSTM" };
enum { RNN, GRU, LSTM };

/* "LAYER.W", ".R" and ".B" of one recurrent layer of this many inputs. */
static void recurrent_weights(ot_net *n, const char *layer, int cell, int64_t in)
{
    static const int gates[] = { 1, 3, 4 };
    const int64_t h = n->o->hidden, rows = gates[cell] * h;
    const double bound = 1 / sqrt((double)h);
    ot_net_uniform(n, ot_net_name(n, "%s.W", layer), bound, 3, (const int64_t[]){ 1, rows, in });
    if (n->o->init && strcmp(n->o->init, "identity") == 0)
        ot_net_eye(n, ot_net_name(n, "%s.R", layer), 3, h);
    else
        ot_net_uniform(n, ot_net_name(n, "%s.R", layer), bound, 3, (const int64_t[]){ 1, rows, h });
    ot_net_uniform(n, ot_net_name(n, "%s.B", layer), bound, 2, (const int64_t[]){ 1, 2 * rows });
}

/* x [T, N, in] to "LAYER.Y" [T, 1, N, H]; the states are named, "" for zeros.  PyTorch's GRU resets after the product.
 */
static void recurrent(ot_net *n, const char *layer, int cell, const char *x, const char *h0, const char *c0,
                      const char *hn, const char *cn)
{
    const char *in[] = {
        x, ot_net_name(n, "%s.W", layer), ot_net_name(n, "%s.R", layer), ot_net_name(n, "%s.B", layer), "", h0, c0
    };
    const char *out[] = { ot_net_name(n, "%s.Y", layer), hn, cn };
    ot_net_node(n, cells[cell], *h0 ? cell == LSTM ? 7 : 6 : 4, in, cell == LSTM ? 3 : 2, out);
    ot_net_int(n, "hidden_size", n->o->hidden);
    if (cell == GRU)
        ot_net_int(n, "linear_before_reset", 1);
}

/* ---- Fixed windows ------------------------------------------------------------------------------------------- */

/* Takes [T, N, width] apart into T values [N, width], named PREFIX.0 and so on. */
static void take_apart(ot_net *n, const char *x, const char *prefix, int64_t steps)
{
    static const int64_t zero = 0;
    const char **part = ot_arena_calloc(&n->names, (size_t)steps, sizeof(*part));
    if (!part) {
        n->st = OT_ENOMEM;
        return;
    }
    for (int64_t t = 0; t < steps; t++)
        part[t] = ot_net_name(n, "%s.%lld.step", prefix, (long long)t);
    ot_net_node(n, "Split", 1, &x, (int)steps, part);
    ot_net_int(n, "axis", 0);
    ot_net_ints(n, "time", 1, &zero);
    for (int64_t t = 0; t < steps; t++)
        OT_NET(n, "Squeeze", ot_net_name(n, "%s.%lld", prefix, (long long)t), part[t], "time");
}

/* h = tanh(l_hidden(h + relu(l_in(e)))), h = 0 at first; of three characters and of eight. */
static void char_add(ot_net *n)
{
    const ot_new_options *o = n->o;
    const char *sum = "input.0", *h = "";
    begin(n, o->steps);
    ot_net_linear(n, "input", "input.sum", "embedded", o->embed, o->hidden, true);
    OT_NET(n, "Relu", "input.relu", "input.sum");
    take_apart(n, "input.relu", "input", o->steps);
    for (int64_t t = 0; t < o->steps; t++) {
        const char *linear = ot_net_name(n, "hidden.%lld.sum", (long long)t);
        if (t > 0) {
            sum = ot_net_name(n, "h+input.%lld", (long long)t);
            OT_NET(n, "Add", sum, h, ot_net_name(n, "input.%lld", (long long)t));
        }
        ot_net_linear(n, "hidden", linear, sum, o->hidden, o->hidden, t == 0);
        h = ot_net_name(n, "hidden.%lld", (long long)t);
        OT_NET(n, "Tanh", h, linear);
    }
    end(n, h, o->steps, false);
}

/* h = tanh(l_hidden(relu(l_in(cat(h, e))))). */
static void char_concat(ot_net *n)
{
    const ot_new_options *o = n->o;
    const char *both = "h,e.0", *h = "";
    begin(n, o->steps);
    take_apart(n, "embedded", "e", o->steps);
    ot_net_ints(n, "zeros before", 4, (const int64_t[]){ 0, o->hidden, 0, 0 });
    OT_NET(n, "Pad", both, "e.0", "zeros before");
    for (int64_t t = 0; t < o->steps; t++) {
        const char *in = ot_net_name(n, "input.%lld", (long long)t),
                   *relu = ot_net_name(n, "input.%lld.relu", (long long)t),
                   *linear = ot_net_name(n, "hidden.%lld.sum", (long long)t);
        if (t > 0) {
            both = ot_net_name(n, "h,e.%lld", (long long)t);
            OT_NET(n, "Concat", both, h, ot_net_name(n, "e.%lld", (long long)t));
            ot_net_int(n, "axis", 1);
        }
        ot_net_linear(n, "input", in, both, o->hidden + o->embed, o->hidden, t == 0);
        OT_NET(n, "Relu", relu, in);
        ot_net_linear(n, "hidden", linear, relu, o->hidden, o->hidden, t == 0);
        h = ot_net_name(n, "hidden.%lld", (long long)t);
        OT_NET(n, "Tanh", h, linear);
    }
    end(n, h, o->steps, false);
}

/* One value without its leading dimension of 1 at `axis`. */
static void squeeze(ot_net *n, const char *out, const char *in, int64_t axis)
{
    const char *axes = ot_net_name(n, "%s.axis", out);
    ot_net_ints(n, axes, 1, &axis);
    OT_NET(n, "Squeeze", out, in, axes);
}

static void char_rnn(ot_net *n)
{
    begin(n, n->o->steps);
    recurrent_weights(n, "rnn", RNN, n->o->embed);
    recurrent(n, "rnn", RNN, "embedded", "", "", "rnn.last", "");
    squeeze(n, "hidden", "rnn.last", 0);
    end(n, "hidden", n->o->steps, false);
}

static void char_sequence(ot_net *n)
{
    begin(n, n->o->steps);
    recurrent_weights(n, "rnn", RNN, n->o->embed);
    recurrent(n, "rnn", RNN, "embedded", "", "", "", "");
    squeeze(n, "hidden", "rnn.Y", 1);
    end(n, "hidden", n->o->steps, true);
}

/* ---- With a state -------------------------------------------------------------------------------------------- */

static void declare_state(ot_net *n, const char *in, int64_t layers)
{
    ot_net_input(n, in, OT_FLOAT, 3, (const int64_t[]){ layers, OPEN, n->o->hidden }, ".N.");
}

static void return_state(ot_net *n, const char *out, int64_t layers)
{
    ot_net_output(n, out, OT_FLOAT, 3, (const int64_t[]){ layers, OPEN, n->o->hidden }, ".N.");
}

/* The state of layer i of several: h0 is split, the layers' last ones are joined again. */
static void split_state(ot_net *n, const char *state, const char *prefix)
{
    int64_t layers = n->o->layers;
    const char **part = ot_arena_calloc(&n->names, (size_t)layers, sizeof(*part));
    if (!part) {
        n->st = OT_ENOMEM;
        return;
    }
    for (int64_t i = 0; i < layers; i++)
        part[i] = ot_net_name(n, "%s.%lld", prefix, (long long)i);
    ot_net_node(n, "Split", 1, &state, (int)layers, part);
    ot_net_int(n, "axis", 0);
}

static void join_state(ot_net *n, const char *state, const char *prefix)
{
    int64_t layers = n->o->layers;
    const char **part = ot_arena_calloc(&n->names, (size_t)layers, sizeof(*part));
    if (!part) {
        n->st = OT_ENOMEM;
        return;
    }
    for (int64_t i = 0; i < layers; i++)
        part[i] = ot_net_name(n, "%s.%lld", prefix, (long long)i);
    ot_net_node(n, "Concat", (int)layers, part, 1, &state);
    ot_net_int(n, "axis", 0);
}

/* Dropout between layers, as PyTorch's: on the outputs of all but the last. */
static const char *drop(ot_net *n, const char *x, int64_t layer)
{
    const char *out = ot_net_name(n, "layer.%lld.dropped", (long long)layer);
    if (n->o->dropout <= 0)
        return x;
    if (layer == 0)
        ot_net_fill(n, "dropout.ratio", n->o->dropout, 0, NULL);
    OT_NET(n, "Dropout", out, x, "dropout.ratio");
    return out;
}

static void stateful(ot_net *n, int cell)
{
    const int64_t layers = n->o->layers;
    const char *x = "embedded";
    begin(n, OPEN);
    declare_state(n, "h0", layers);
    if (cell == LSTM)
        declare_state(n, "c0", layers);
    if (layers > 1)
        split_state(n, "h0", "h0");
    if (layers > 1 && cell == LSTM)
        split_state(n, "c0", "c0");
    for (int64_t i = 0; i < layers; i++) {
        const char *layer = ot_net_name(n, "layer.%lld", (long long)i), *state[] = { "h0", "c0", "hn", "cn" },
                   *out = ot_net_name(n, "%s.hidden", layer);
        for (int k = 0; k < 4 && layers > 1; k++)
            state[k] = ot_net_name(n, "%s.%lld", state[k], (long long)i);
        recurrent_weights(n, layer, cell, i ? n->o->hidden : n->o->embed);
        recurrent(n, layer, cell, x, state[0], state[1], state[2], state[3]);
        squeeze(n, out, ot_net_name(n, "%s.Y", layer), 1);
        x = i + 1 < layers ? drop(n, out, i) : out;
    }
    if (layers > 1)
        join_state(n, "hn", "hn");
    if (layers > 1 && cell == LSTM)
        join_state(n, "cn", "cn");
    end(n, x, OPEN, true);
    return_state(n, "hn", layers);
    if (cell == LSTM)
        return_state(n, "cn", layers);
}

static void char_state_rnn(ot_net *n)
{
    stateful(n, RNN);
}

static void char_gru(ot_net *n)
{
    stateful(n, GRU);
}

static void char_lstm(ot_net *n)
{
    stateful(n, LSTM);
}

/* A cell of two Linear layers, written out for each step: h = tanh(l_in(e) + l_hidden(h)). */
static void char_cell(ot_net *n)
{
    const ot_new_options *o = n->o;
    const char **outs = ot_arena_calloc(&n->names, (size_t)o->steps, sizeof(*outs)), *h = "h.before";
    if (!outs) {
        n->st = OT_ENOMEM;
        return;
    }
    begin(n, o->steps);
    declare_state(n, "h0", 1);
    const double bound = 1 / sqrt((double)o->hidden);
    ot_net_uniform(n, "input.weight", bound, 2, (const int64_t[]){ o->embed, o->hidden });
    ot_net_uniform(n, "input.bias", bound, 1, &o->hidden);
    ot_net_linear(n, "input", "input.sum", "embedded", o->embed, o->hidden, false);
    take_apart(n, "input.sum", "input", o->steps);
    squeeze(n, h, "h0", 0);
    for (int64_t t = 0; t < o->steps; t++) {
        const char *linear = ot_net_name(n, "hidden.%lld.product", (long long)t),
                   *sum = ot_net_name(n, "hidden.%lld.sum", (long long)t);
        ot_net_linear(n, "hidden", linear, h, o->hidden, o->hidden, t == 0);
        OT_NET(n, "Add", sum, linear, ot_net_name(n, "input.%lld", (long long)t));
        h = ot_net_name(n, "hidden.%lld", (long long)t);
        OT_NET(n, "Tanh", h, sum);
        outs[t] = ot_net_name(n, "hidden.%lld.row", (long long)t);
        OT_NET(n, "Unsqueeze", outs[t], h, "time");
    }
    ot_net_node(n, "Concat", (int)o->steps, outs, 1, (const char *[]){ "hidden" });
    ot_net_int(n, "axis", 0);
    OT_NET(n, "Identity", "hn", outs[o->steps - 1]);
    end(n, "hidden", o->steps, true);
    return_state(n, "hn", 1);
}

#define TEXT .kind = OT_NET_TEXT, .classes = 85, .embed = 42, .hidden = 256
const ot_net_row ot_char_nets[] = {
    { { "char3", "three characters, a custom cell that adds", TEXT, .steps = 3 }, char_add },
    { { "char-loop", "eight characters, a custom cell that adds", TEXT, .steps = 8 }, char_add },
    { { "char-loop-concat", "eight characters, a custom cell that concatenates", TEXT, .steps = 8 }, char_concat },
    { { "char-window", "eight characters through an RNN, the next one", TEXT, .steps = 8, .inits = "identity" },
      char_rnn },
    { { "char-sequence", "eight characters through an RNN, the next one of each", TEXT, .steps = 8,
        .inits = "identity" },
      char_sequence },
    { { "char-cell", "an RNN cell written out for eight steps, with a state", TEXT, .steps = 8 }, char_cell },
    { { "char-rnn", "RNN with a state", TEXT, .layers = 1, .inits = "identity" }, char_state_rnn },
    { { "char-gru", "GRU with a state", TEXT, .layers = 1 }, char_gru },
    { { "char-lstm", "LSTM of two layers with a state, dropout between", .kind = OT_NET_TEXT, .classes = 85,
        .embed = 42, .hidden = 512, .layers = 2, .dropout = .5 },
      char_lstm },
    { { 0 }, NULL },
};
