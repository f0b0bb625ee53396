#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUITE(id) extern const ot_test id##_tests[];
#include "suite_list.h"
#undef SUITE
extern const ot_test op_table_tests[];

static const struct {
    const char *name;
    const ot_test *tests;
} suites[] = {
#define SUITE(id) { #id, id##_tests },
#include "suite_list.h"
#undef SUITE
    { "op_table", op_table_tests }, /* the last: it looks at what all others have exercised */
};

static struct {
    int failures; /* of the running test */
    const char *skip;
    char name[256];
} now;
static bool everything; /* no words were given */

bool test_runs_everything(void)
{
    return everything;
}

bool test_check(bool ok, const char *file, int line, const char *what)
{
    if (!ok) {
        now.failures++;
        if (now.failures <= 20)
            printf("  %s:%d: %s: not so: %s\n", file, line, now.name, what);
    }
    return ok;
}

bool test_ok(ot_status st, const char *file, int line, const char *what)
{
    bool ok = test_check(st == OT_OK, file, line, what);
    if (!ok)
        printf("    error %d: %s\n", (int)st, ot_last_error());
    return ok;
}

bool test_fails(ot_status st, ot_status want, const char *words, const char *file, int line, const char *what)
{
    bool ok = test_check(st == want && strstr(ot_last_error(), words), file, line, what);
    if (!ok)
        printf("    wanted %d with \"%s\", got %d: %s\n", (int)want, words, (int)st, ot_last_error());
    return ok;
}

void test_skip(const char *why)
{
    now.skip = why;
}

const char *test_shared(const char *name)
{
    static char path[1024];
    const char *dir = getenv("ONNXTUNE_SHARED");
    struct stat s;
    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "../shared", name);
    if (stat(path, &s) == 0)
        return path;
    test_skip("the shared data is not there");
    return NULL;
}

const char *test_tmp(const char *name)
{
    static char path[1024];
    const char *dir = getenv("ONNXTUNE_TEST_TMP");
    if (!dir) {
        dir = "/tmp/onnxtune-tests";
        mkdir(dir, 0777);
    }
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

bool test_close(double want, double got, double abs, double rel)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want))
        return want == got;
    return fabs(got - want) <= abs + rel * fabs(want);
}

static bool asked_for(int argc, char **argv)
{
    if (argc < 2)
        return true;
    for (int i = 1; i < argc; i++)
        if (strstr(now.name, argv[i]))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;
    everything = argc < 2;
    for (size_t s = 0; s < sizeof(suites) / sizeof(suites[0]); s++) {
        for (const ot_test *t = suites[s].tests; t->name; t++) {
            snprintf(now.name, sizeof(now.name), "%s/%s", suites[s].name, t->name);
            now.failures = 0;
            now.skip = NULL;
            if (!asked_for(argc, argv))
                continue;
            t->run();
            if (now.failures) {
                failed++;
                printf("FAILED %s (%d checks)\n", now.name, now.failures);
            } else if (now.skip) {
                skipped++;
                printf("skipped %s: %s\n", now.name, now.skip);
            } else {
                passed++;
            }
            fflush(stdout);
        }
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed || !passed;
}
