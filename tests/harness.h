/* The harness: a suite is a table of tests, a test is a function that says CHECK.  All suites are listed, one line
 * each, in suite_list.h.  Run: onnxtune-tests [WORD...] runs the tests whose "suite/name" contains a WORD.
 * The last line is "N passed, N failed, N skipped". */
#ifndef OT_TESTS_HARNESS_H
#define OT_TESTS_HARNESS_H

#include "onnxtune.h"

typedef struct ot_test {
    const char *name;
    void (*run)(void);
} ot_test; /* a table ends with a NULL name */

/* Counts a failure, prints where and what, goes on. */
#define CHECK(cond) test_check((cond) != 0, __FILE__, __LINE__, #cond)
/* Failure prints ot_last_error() too. */
#define CHECK_OK(call) test_ok((call), __FILE__, __LINE__, #call)
/* The call must fail with this status, and the error text must contain these words. */
#define CHECK_FAILS(call, status, words) test_fails((call), (status), (words), __FILE__, __LINE__, #call)

bool test_check(bool ok, const char *file, int line, const char *what);
bool test_ok(ot_status st, const char *file, int line, const char *what);
bool test_fails(ot_status st, ot_status want, const char *words, const char *file, int line, const char *what);
/* Ends the running test as skipped, with the reason; the caller returns. */
void test_skip(const char *why);
/* Does this run have every test, or only those that words were given for. */
bool test_runs_everything(void);

/* The path of shared data, "DIR/name", or NULL (and the test is skipped) when it is not there.  DIR is the environment
 * variable ONNXTUNE_SHARED, which tests/run sets to ../shared beside the checkout.  Valid until the next call. */
const char *test_shared(const char *name);
/* A folder for files that tests write; removed by tests/run. */
const char *test_tmp(const char *name);

/* |got - want| <= abs + rel * |want|; NaN equals only NaN, infinities only themselves. */
bool test_close(double want, double got, double abs, double rel);

#endif
