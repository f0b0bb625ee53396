/* Bytes as a model that is run, on inputs drawn from the bytes: graph, plan, kernels.  Memory and the number of nodes
 * are capped, so that what takes long is a finding. */
#include "feed.h"
#include "fuzz.h"

#include <string.h>

#define MEMORY    ((size_t)1 << 20)
#define MAX_NODES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_model *m = NULL;
    int64_t before = ot_live_blocks();
    mutate_rng r = fuzz_rng(data, size);
    ot_status st = ot_model_open_memory(&m, data, size);
    if (st == OT_OK && m->proto->graph->n_node <= MAX_NODES)
        st = feed_model(m, &r, MEMORY);
    fuzz_promise(st == OT_OK || (*ot_last_error() && !strchr(ot_last_error(), '\n')), "an error is one line");
    ot_model_close(m);
    fuzz_promise(ot_live_blocks() == before, "nothing is left behind");
    return 0;
}
