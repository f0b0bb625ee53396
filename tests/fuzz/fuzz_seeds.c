/* fuzz_seeds DIR N: N small models of two kinds, as files to begin from. */
#include "mutate.h"

#include <stdio.h>
#include <stdlib.h>

static int write_one(const char *dir, int64_t i)
{
    char path[1024];
    mutate_rng r = { (uint64_t)i * 0x2545f4914f6cdd1du + 7 };
    ot_model *m = NULL;
    ot_status st = i % 4 ? mutate_soup(&m, &r) : mutate_classifier(&m, &r);
    snprintf(path, sizeof(path), "%s/seed-%lld", dir, (long long)i);
    if (st == OT_OK)
        st = ot_model_save(m, path);
    ot_model_close(m);
    if (st == OT_OK)
        return 0;
    fprintf(stderr, "%s: %s\n", path, ot_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    int64_t n = argc == 3 ? strtoll(argv[2], NULL, 10) : 0;
    if (n < 1) {
        fprintf(stderr, "usage: fuzz_seeds DIR N\n");
        return 2;
    }
    for (int64_t i = 0; i < n; i++)
        if (write_one(argv[1], i))
            return 1;
    return 0;
}
