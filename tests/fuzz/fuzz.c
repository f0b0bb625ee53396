#define _DEFAULT_SOURCE /* getpid */
#include "fuzz.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

mutate_rng fuzz_rng(const uint8_t *data, size_t size)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * 1099511628211u;
    return (mutate_rng){ h };
}

static char path[256];

static void remove_file(void)
{
    unlink(path);
}

const char *fuzz_path(void)
{
    if (!*path) {
        snprintf(path, sizeof(path), "%s/onnxtune-fuzz.%d", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
                 (int)getpid());
        atexit(remove_file);
    }
    return path;
}

uint8_t *fuzz_saved(size_t *n, const ot_model *m)
{
    uint8_t *bytes = NULL, *copy = NULL;
    if (ot_model_save(m, fuzz_path()) != OT_OK || ot_file_read(&bytes, n, fuzz_path(), SIZE_MAX) != OT_OK)
        return NULL;
    if ((copy = malloc(*n + 1)))
        memcpy(copy, bytes, *n);
    ot_free(bytes);
    return copy;
}

void fuzz_promise(bool kept, const char *words)
{
    if (kept)
        return;
    fprintf(stderr, "not so: %s; the last error: %s\n", words, ot_last_error());
    abort();
}

/* The changed model's bytes in place of the old ones; 0 when that did not work out. */
static size_t mutate_document(uint8_t *data, size_t size, size_t max_size, mutate_rng *r)
{
    ot_model *m = NULL;
    size_t n = 0;
    uint8_t *saved = NULL;
    if (ot_model_open_memory(&m, data, size) == OT_OK && m->proto->graph->n_node < 200 && mutate_model(m, r) == OT_OK)
        saved = fuzz_saved(&n, m);
    if (saved && n <= max_size)
        memcpy(data, saved, n);
    else
        n = 0;
    free(saved);
    ot_model_close(m);
    return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    mutate_rng r = { seed };
    size_t n = mutate_below(&r, 2) ? mutate_document(data, size, max_size, &r) : 0;
    return n ? n : LLVMFuzzerMutate(data, size, max_size);
}
