#include "show_training.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

static ot_status load(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label)
{
    (void)ctx, (void)split, (void)index, (void)augment, (void)epoch, (void)sample;
    *label = 0;
    return ot_set_error(OT_EARG, "this data set has only a shape");
}

static int64_t label_of(void *ctx, int split, int64_t index)
{
    (void)ctx, (void)split, (void)index;
    return 0;
}

/* The last dimension of "float[N,1000]"; 0 when that is no number. */
static int64_t last_dim(const char *type)
{
    const char *comma = strrchr(type, ',');
    char *end;
    long long n = comma ? strtoll(comma + 1, &end, 10) : 0;
    return comma && *end == ']' && n > 0 ? n : 0;
}

bool ot_phantom_dataset(ot_dataset *out, const ot_model *m, const ot_session *s, const ot_tensor *given,
                        const char *path)
{
    ot_layers *l = NULL;
    ot_tensor x;
    *out = (ot_dataset){ .count = { 1, 0 }, .load = load, .label = label_of };
    if (ot_session_input_count(s) != 1 || ot_session_input(s, 0, &x) != OT_OK || x.rank < 1) {
        ot_tool_error("%s: only a model with one input of known rank can be trained", path);
        return false;
    }
    if (given && given->rank == x.rank)
        x = *given;
    const char *name = ot_model_output_name(m, 0);
    if (name && ot_layers_open(&l, m, NULL, NULL, 0) == OT_OK)
        out->classes = last_dim(ot_layers_value(l, name));
    ot_layers_close(l);
    if (out->classes == 1) /* one score for two classes */
        out->classes = 2;
    out->rank = x.rank - 1;
    memcpy(out->dim, &x.dim[1], (size_t)out->rank * sizeof(*out->dim));
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i] < 1) {
            ot_tool_error("%s: the input '%s' is %s: its size must be known", path, ot_session_input_name(s, 0),
                          ot_dims_text_of(&x));
            return false;
        }
    if (out->classes < 1)
        ot_tool_error("%s: the number of classes is not known from the output '%s'", path, name ? name : "");
    return out->classes >= 1;
}
