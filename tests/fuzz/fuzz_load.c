/* Bytes as a model file: loading, checking, layers, saving.  What loads can be saved, what was saved loads again, and
 * saving that gives the same bytes. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void look(const ot_model *m)
{
    ot_image_spec spec;
    ot_layers *l = NULL;
    int64_t n;
    ot_status st = ot_model_check(&n, m, NULL, NULL);
    fuzz_promise(st == OT_OK || st == OT_ENOMEM, "a check fails for want of memory only");
    (void)ot_image_spec_from_model(&spec, m);
    if (ot_layers_open(&l, m, NULL, NULL, 0) == OT_OK)
        for (int64_t i = 0; i < ot_layers_count(l); i++)
            fuzz_promise(ot_layers_get(l, i) != NULL, "every layer can be had");
    ot_layers_close(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_model *m = NULL, *again = NULL;
    int64_t before = ot_live_blocks();
    if (ot_model_open_memory(&m, data, size) == OT_OK) {
        size_t n, n_again;
        uint8_t *first = fuzz_saved(&n, m), *second = NULL;
        look(m);
        fuzz_promise(first != NULL, "what loads can be saved");
        fuzz_promise(ot_model_open_memory(&again, first, n) == OT_OK, "what was saved loads");
        second = fuzz_saved(&n_again, again);
        fuzz_promise(second && n == n_again && memcmp(first, second, n) == 0, "saving again gives the same bytes");
        free(first);
        free(second);
    } else {
        fuzz_promise(*ot_last_error() && !strchr(ot_last_error(), '\n'), "an error is one line");
    }
    ot_model_close(m);
    ot_model_close(again);
    fuzz_promise(ot_live_blocks() == before, "nothing is left behind");
    return 0;
}
