#define _GNU_SOURCE /* scandir, alphasort */
/* ONNX's own node tests: every case of tests/onnx_node.txt must pass, with the comparison of the upstream runner.  The
 * list only grows.  ONNXTUNE_CONFORMANCE names the folder that holds node/; with ONNXTUNE_CONFORMANCE_LIST=FILE the
 * test runs all cases instead and writes the names of those that pass. */
#include "harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 64 /* inputs or outputs of a case */

/* Upstream's rule: same type and shape, and |got - want| <= 1e-7 + 1e-3 |want|; strings are equal. */
static bool same(const ot_tensor *want, const ot_tensor *got)
{
    if (want->dtype != got->dtype || want->rank != got->rank)
        return false;
    for (int i = 0; i < want->rank; i++)
        if (want->dim[i] != got->dim[i])
            return false;
    for (int64_t i = 0; i < ot_tensor_count(want); i++) {
        if (want->dtype == OT_STRING) {
            const ot_str *a = (const ot_str *)want->data + i, *b = (const ot_str *)got->data + i;
            if (a->n != b->n || memcmp(a->bytes, b->bytes, a->n) != 0)
                return false;
        } else if (!test_close(ot_tensor_get(want, i), ot_tensor_get(got, i), 1e-7, 1e-3)) {
            return false;
        }
    }
    return true;
}

/* Values of any kind: of the same kind, and what they hold is the same. */
static bool same_item(const ot_item *want, const ot_item *got)
{
    if (want->kind != got->kind || want->n != got->n)
        return false;
    for (int64_t i = 0; i < want->n; i++)
        if (!same_item(&want->item[i], &got->item[i]))
            return false;
    return want->kind != OT_TENSOR || same(want->tensor, got->tensor);
}

/* Reads NAME_0.pb, NAME_1.pb, ..., each of the kind that the model's input or output has; those that are not there stay
 * NULL.  false when one is no such value. */
static bool read_all(ot_item **out, int n, const char *dir, const char *name, const ot_session *s)
{
    for (int i = 0; i < n; i++) {
        char path[1280];
        snprintf(path, sizeof(path), "%s/test_data_set_0/%s_%d.pb", dir, name, i);
        FILE *f = fopen(path, "rb");
        if (!f)
            return false;
        fclose(f);
        ot_kind kind = *name == 'i' ? ot_session_input_kind(s, i) : ot_session_output_kind(s, i);
        if (ot_item_file_read(&out[i], path, kind) != OT_OK)
            return false;
    }
    return true;
}

static bool run_and_compare(const char *dir, ot_session *s, ot_item **x, ot_item **want)
{
    int n_x = (int)ot_session_input_count(s), n_want = (int)ot_session_output_count(s);
    const ot_item *in[MAX_VALUES];
    if (n_x > MAX_VALUES || n_want > MAX_VALUES || n_want == 0 || !read_all(x, n_x, dir, "input", s) ||
        !read_all(want, n_want, dir, "output", s))
        return false;
    for (int i = 0; i < n_x; i++)
        in[i] = x[i];
    bool ok = ot_session_run_items(s, in, n_x) == OT_OK;
    for (int i = 0; i < n_want && ok; i++)
        ok = same_item(want[i], ot_session_output_item(s, i));
    return ok;
}

static bool passes(const char *dir)
{
    char path[1280];
    ot_item *x[MAX_VALUES] = { 0 }, *want[MAX_VALUES] = { 0 };
    ot_model *m = NULL;
    ot_session *s = NULL;
    ot_session_options o = OT_SESSION_INIT;
    o.threads = 1;
    o.keep_batch = true;
    snprintf(path, sizeof(path), "%s/model.onnx", dir);
    bool ok =
        ot_model_open(&m, path) == OT_OK && ot_session_create(&s, m, &o) == OT_OK && run_and_compare(dir, s, x, want);
    ot_session_close(s);
    ot_model_close(m);
    for (int i = 0; i < MAX_VALUES; i++) {
        ot_item_free(x[i]);
        ot_item_free(want[i]);
    }
    return ok;
}

/* Every case there is; the names of those that pass go to `list`, sorted. */
static void write_list(const char *root, const char *list)
{
    char dir[1024];
    struct dirent **entry;
    FILE *f = fopen(list, "w");
    snprintf(dir, sizeof(dir), "%s/node", root);
    int n = f ? scandir(dir, &entry, NULL, alphasort) : -1;
    CHECK(n > 0);
    for (int i = 0; i < n; i++) {
        snprintf(dir, sizeof(dir), "%s/node/%s", root, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && passes(dir))
            fprintf(f, "%s\n", entry[i]->d_name);
        free(entry[i]);
    }
    if (n > 0)
        free(entry);
    if (f)
        fclose(f);
}

static void check_list(const char *root)
{
    char name[256], dir[1024];
    FILE *f = fopen(TEST_NODE_LIST, "r");
    int64_t cases = 0;
    if (!CHECK(f != NULL))
        return;
    while (fgets(name, sizeof(name), f)) {
        name[strcspn(name, "\n")] = 0;
        snprintf(dir, sizeof(dir), "%s/node/%s", root, name);
        if (!CHECK(passes(dir)))
            printf("    %s: %s\n", name, ot_last_error());
        cases++;
    }
    CHECK(cases > 0);
    fclose(f);
}

static void node_cases(void)
{
    const char *root = getenv("ONNXTUNE_CONFORMANCE"), *list = getenv("ONNXTUNE_CONFORMANCE_LIST");
    if (!root)
        test_skip("ONNXTUNE_CONFORMANCE is not set");
    else if (list)
        write_list(root, list);
    else
        check_list(root);
}

const ot_test conformance_tests[] = { { "node cases of the list", node_cases }, { 0 } };
