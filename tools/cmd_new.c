/* onnxtune new: a net of a known kind, freshly initialised. */
#include "model_file.h"
#include "output.h"

#include <string.h>

typedef struct new_args {
    ot_common_args common;
    ot_new_options o;
    const char *name, *out;
    bool list;
} new_args;

enum { LIST = OT_KEY_OWN, INIT, CLASSES, SIZE, STEPS, EMBED, HIDDEN, LAYERS, DROPOUT };

static const struct argp_option options[] = {
    { "output", 'o', "FILE", 0, "the new model (needed)", 0 },
    { "list", LIST, NULL, 0, "the nets that there are, with what each takes unless told otherwise", 0 },
    { "init", INIT, "HOW", 0, "another initialisation, where the net has one (default: its own)", 0 },
    { "classes", CLASSES, "N", 0, "classes; of a text net: entries of its vocabulary", 0 },
    { "size", SIZE, "PIXELS", 0, "of a net for pictures: height and width", 0 },
    { "steps", STEPS, "N", 0, "of a text net with a fixed window: its characters", 0 },
    { "embed", EMBED, "N", 0, "of a text net: numbers that stand for a character", 0 },
    { "hidden", HIDDEN, "N", 0, "of a text net: numbers in a layer", 0 },
    { "layers", LAYERS, "N", 0, "of a text net: recurrent layers", 0 },
    { "dropout", DROPOUT, "P", 0, "of a net that has it: the share that is dropped, 0..1", 0 },
    { 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    new_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case LIST:
        a->list = true;
        return 0;
    case INIT:
        a->o.init = arg;
        return 0;
    case CLASSES:
        a->o.classes = ot_arg_int(state, "classes", arg, 1, 1000000);
        return 0;
    case SIZE:
        a->o.size = ot_arg_int(state, "size", arg, 1, 16384);
        return 0;
    case STEPS:
        a->o.steps = ot_arg_int(state, "steps", arg, 1, 4096);
        return 0;
    case EMBED:
        a->o.embed = ot_arg_int(state, "embed", arg, 1, 65536);
        return 0;
    case HIDDEN:
        a->o.hidden = ot_arg_int(state, "hidden", arg, 1, 65536);
        return 0;
    case LAYERS:
        a->o.layers = ot_arg_int(state, "layers", arg, 1, 64);
        return 0;
    case DROPOUT:
        a->o.dropout = ot_arg_real(state, "dropout", arg, 0, 0.999999);
        return 0;
    case ARGP_KEY_ARG:
        if (a->name)
            ot_usage(state, "'%s': one net is made at a time", arg);
        a->name = arg;
        return 0;
    case ARGP_KEY_END:
        if (a->list)
            return 0;
        if (!a->name)
            ot_usage(state, "the name of a net is missing; --list shows them");
        ot_need_output(state, a->out, "the new model");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ot_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = { .options = options,
                                  .parser = parse,
                                  .args_doc = "NAME -o FILE\n--list",
                                  .doc = "Makes a net of a known kind with fresh weights, drawn from --seed.\v"
                                         "Example:\n  onnxtune new char-gru --classes 56 --hidden 256 -o gru.onnx",
                                  .children = children };

static void number(json_t *o, const char *name, int64_t value)
{
    if (value)
        json_object_set_new(o, name, json_integer((json_int_t)value));
}

static int list_json(void)
{
    json_t *all = json_array();
    const ot_net_info *n;
    for (int64_t i = 0; (n = ot_net_get(i)); i++) {
        json_t *o = json_pack("{s:s, s:s, s:s}", "name", n->name, "does", n->does, "kind",
                              n->kind == OT_NET_TEXT ? "text" : "image");
        number(o, "classes", n->classes);
        number(o, "size", n->size);
        number(o, "steps", n->steps);
        number(o, "embed", n->embed);
        number(o, "hidden", n->hidden);
        number(o, "layers", n->layers);
        if (n->dropout > 0)
            json_object_set_new(o, "dropout", json_real(n->dropout));
        if (n->inits)
            json_object_set_new(o, "init", json_string(n->inits));
        json_array_append_new(all, o);
    }
    return ot_print_json(all) ? OT_EXIT_OK : OT_EXIT_FAILED;
}

static size_t add(char *text, size_t at, size_t room, const char *name, int64_t value)
{
    int n = value ? snprintf(text + at, room - at, "%s%s %lld", at ? ", " : "", name, (long long)value) : 0;
    return at + (n > 0 ? (size_t)n : 0);
}

static int list(bool json)
{
    if (json)
        return list_json();
    ot_table *t = ot_table_open("lll");
    const ot_net_info *n;
    ot_table_cell(t, "name");
    ot_table_cell(t, "what it is");
    ot_table_cell(t, "unless told otherwise");
    for (int64_t i = 0; (n = ot_net_get(i)); i++) {
        char text[256] = "";
        size_t at = add(text, 0, sizeof(text), "classes", n->classes);
        at = add(text, at, sizeof(text), "size", n->size);
        at = add(text, at, sizeof(text), "steps", n->steps);
        at = add(text, at, sizeof(text), "embed", n->embed);
        at = add(text, at, sizeof(text), "hidden", n->hidden);
        at = add(text, at, sizeof(text), "layers", n->layers);
        if (n->dropout > 0)
            at += (size_t)snprintf(text + at, sizeof(text) - at, ", dropout %g", n->dropout);
        if (n->inits)
            snprintf(text + at, sizeof(text) - at, "; init: %s", n->inits);
        ot_table_cell(t, "%s", n->name);
        ot_table_cell(t, "%s", n->does);
        ot_table_cell(t, "%s", text);
    }
    ot_table_print(t);
    return OT_EXIT_OK;
}

int ot_cmd_new(int argc, char **argv)
{
    static new_args a = { .common = OT_COMMON_ARGS_INIT, .o = OT_NEW_INIT };
    ot_model *m;
    ot_parse(&argp, argc, argv, &a);
    if (a.list)
        return list(a.common.json);
    a.o.seed = a.common.seed;
    ot_status st = ot_model_new(&m, a.name, &a.o);
    if (st != OT_OK) {
        int code = ot_tool_failed(st, a.name);
        if (st == OT_EARG)
            ot_tool_advice("`onnxtune new --list` shows the nets and what they take");
        return code;
    }
    st = ot_note_run(m, "new %s --seed %llu", a.name, (unsigned long long)a.common.seed);
    if (st == OT_OK)
        st = ot_model_save(m, a.out);
    int code = st == OT_OK ? ot_report_model(m, a.out, a.common.json) : ot_tool_failed(st, a.out);
    ot_model_close(m);
    return code;
}
