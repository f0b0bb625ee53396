#include "text_file.h"
#include "harness.h"
#include "base/alloc.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

const char *text_file(const char *name, const char *bytes, size_t n)
{
    static char path[1024];
    char file[64];
    snprintf(file, sizeof(file), "text-%s.txt", name);
    snprintf(path, sizeof(path), "%s", test_tmp(file));
    CHECK_OK(ot_file_write(path, bytes, n));
    return path;
}

const char *text_sentences(const char *name, int n)
{
    static const char *const words[] = { "the ", "cat ", "sat ", "on ", "a ", "mat.\n", "dog ", "ran " };
    char *text = ot_calloc((size_t)n + 16, 1);
    for (uint64_t i = 0; (int)strlen(text) < n; i++)
        strcat(text, words[(int)(8 * ot_rng_uniform(99, i))]);
    const char *path = text_file(name, text, (size_t)n);
    ot_free(text);
    return path;
}
