#include "check_cases.h"
#include "output.h"
#include "progress.h"

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES   4096
#define REASON_BYTES 1024
#define DEEPEST      32   /* folders in each other */
#define MOST_VALUES  1024 /* inputs or outputs of a model */

typedef enum verdict { PASSED, FAILED, SKIPPED } verdict;

typedef struct outcome {
    verdict verdict;
    char reason[REASON_BYTES];
} outcome;

typedef struct must_pass {
    char **name; /* sorted */
    bool *seen;
    size_t n;
} must_pass;

typedef struct texts {
    char **s; /* owned */
    size_t n;
} texts;

typedef struct runner {
    const ot_cases_args *a;
    texts cases; /* paths of folders */
    must_pass must;
    texts reasons;    /* of what was skipped, each once */
    int64_t *times;   /* of each reason */
    int64_t count[3]; /* by verdict */
    json_t *list;     /* NULL: results are printed */
} runner;

static void settle(outcome *o, verdict v, const char *fmt, ...) OT_TOOL_PRINTF(3, 4);

/* The reason as one line. */
static void settle(outcome *o, verdict v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(o->reason, sizeof(o->reason), fmt, ap);
    va_end(ap);
    for (char *p = o->reason; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    o->verdict = v;
}

/* What the library cannot do is skipped, what it does wrong has failed. */
static void settle_status(outcome *o, ot_status st)
{
    settle(o, st == OT_EUNSUPPORTED ? SKIPPED : FAILED, "%s", ot_last_error());
}

/* ---- Comparing ---------------------------------------------------------------------------------------------- */

static bool close_to(double got, double want, double rtol, double atol)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    return fabs(got - want) <= atol + rtol * fabs(want);
}

/* Complex numbers are compared as twice as many reals. */
static ot_tensor as_reals(const ot_tensor *t)
{
    ot_tensor r = *t;
    if (t->dtype != OT_COMPLEX64 && t->dtype != OT_COMPLEX128)
        return r;
    r.dtype = t->dtype == OT_COMPLEX64 ? OT_FLOAT : OT_DOUBLE;
    r.rank = 1;
    r.dim[0] = 2 * ot_tensor_count(t);
    return r;
}

static bool same_shape(const ot_tensor *a, const ot_tensor *b)
{
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0);
}

static bool same_text(const ot_tensor *got, const ot_tensor *want, int64_t i)
{
    const ot_str *a = (const ot_str *)got->data + i, *b = (const ot_str *)want->data + i;
    return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

static bool compare(const runner *r, outcome *o, const char *what, const ot_tensor *got, const ot_tensor *want)
{
    if (got->dtype != want->dtype || !same_shape(got, want)) {
        settle(o, FAILED, "%s is %s %s, expected is %s %s", what, ot_dtype_name(got->dtype), ot_dims_text_of(got),
               ot_dtype_name(want->dtype), ot_dims_text_of(want));
        return false;
    }
    ot_tensor x = as_reals(got), y = as_reals(want);
    int64_t wrong = 0, first = -1, n = ot_tensor_count(&x);
    for (int64_t i = 0; i < n; i++) {
        bool ok = x.dtype == OT_STRING ? same_text(&x, &y, i)
                                       : close_to(ot_tensor_get(&x, i), ot_tensor_get(&y, i), r->a->rtol, r->a->atol);
        if (!ok && wrong++ == 0)
            first = i;
    }
    if (wrong && x.dtype == OT_STRING)
        settle(o, FAILED, "%s: %lld of %lld strings differ, the first at %lld", what, (long long)wrong, (long long)n,
               (long long)first);
    else if (wrong)
        settle(o, FAILED, "%s: %lld of %lld elements differ, the first at %lld: %.9g, expected is %.9g", what,
               (long long)wrong, (long long)n, (long long)first, ot_tensor_get(&x, first), ot_tensor_get(&y, first));
    return wrong == 0;
}

/* Values of any kind: what they hold is compared one by one. */
static bool compare_items(const runner *r, outcome *o, const char *what, const ot_item *got, const ot_item *want)
{
    static const char *const kinds[] = { "tensor", "sequence", "optional", "map" };
    if (got->kind != want->kind || got->n != want->n) {
        settle(o, FAILED, "%s is a %s of %lld, expected is a %s of %lld", what, kinds[got->kind], (long long)got->n,
               kinds[want->kind], (long long)want->n);
        return false;
    }
    if (want->kind == OT_TENSOR)
        return compare(r, o, what, got->tensor, want->tensor);
    for (int64_t i = 0; i < want->n; i++) {
        char inner[PATH_BYTES];
        snprintf(inner, sizeof(inner), "%.400s, item %lld", what, (long long)i);
        if (!compare_items(r, o, inner, &got->item[i], &want->item[i]))
            return false;
    }
    return true;
}

/* ---- One case ----------------------------------------------------------------------------------------------- */

static bool exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

typedef struct values {
    ot_item *item[MOST_VALUES];
    int64_t n;
} values;

static void free_values(values *v)
{
    for (int64_t i = 0; i < v->n; i++)
        ot_item_free(v->item[i]);
    free(v);
}

/* KIND_0.pb, KIND_1.pb, ... until one is not there.  What kind of value each holds, the model says. */
static values *read_values(outcome *o, const ot_session *s, const char *set, const char *kind)
{
    values *v = ot_tool_calloc(1, sizeof(*v));
    for (; v->n < MOST_VALUES; v->n++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof(path), "%s/%s_%lld.pb", set, kind, (long long)v->n);
        if (!exists(path))
            return v;
        ot_kind is = *kind == 'i' ? ot_session_input_kind(s, v->n) : ot_session_output_kind(s, v->n);
        ot_status st = ot_item_file_read(&v->item[v->n], path, is);
        if (st != OT_OK) {
            settle_status(o, st);
            break;
        }
    }
    if (v->n == MOST_VALUES)
        settle(o, FAILED, "%s: more than %d %ss", set, MOST_VALUES, kind);
    free_values(v);
    return NULL;
}

static bool run_set(const runner *r, outcome *o, ot_session *s, const values *in, const values *want)
{
    const ot_item *input[MOST_VALUES];
    char what[PATH_BYTES];
    for (int64_t i = 0; i < in->n; i++)
        input[i] = in->item[i];
    ot_status st = ot_session_run_items(s, input, in->n);
    if (st != OT_OK) {
        settle_status(o, st);
        return false;
    }
    if (ot_session_output_count(s) != want->n) {
        settle(o, FAILED, "%lld outputs, expected are %lld", (long long)ot_session_output_count(s), (long long)want->n);
        return false;
    }
    for (int64_t i = 0; i < want->n; i++) {
        snprintf(what, sizeof(what), "output %lld '%.200s'", (long long)i, ot_session_output_name(s, i));
        if (!compare_items(r, o, what, ot_session_output_item(s, i), want->item[i]))
            return false;
    }
    return true;
}

static bool check_set(const runner *r, outcome *o, ot_session *s, const char *set)
{
    values *in = read_values(o, s, set, "input");
    values *want = in ? read_values(o, s, set, "output") : NULL;
    bool ok = false;
    if (want && want->n == 0)
        settle(o, SKIPPED, "no expected outputs");
    else if (want)
        ok = run_set(r, o, s, in, want);
    if (want)
        free_values(want);
    if (in)
        free_values(in);
    return ok;
}

static int is_set(const struct dirent *e)
{
    return strncmp(e->d_name, "test_data_set_", 14) == 0;
}

static int any_entry(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Every data set of the case, until one does not hold. */
static void check_sets(const runner *r, outcome *o, ot_session *s, const char *folder)
{
    struct dirent **set;
    char path[PATH_BYTES];
    int n = scandir(folder, &set, is_set, alphasort);
    bool ok = n > 0;
    if (!ok)
        settle(o, SKIPPED, "no test data");
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, set[i]->d_name);
        ok = ok && check_set(r, o, s, path);
        free(set[i]);
    }
    if (n >= 0)
        free(set);
    if (ok)
        settle(o, PASSED, "%s", "");
}

static void check_case(const runner *r, outcome *o, const char *folder)
{
    char path[PATH_BYTES];
    ot_model *m = NULL;
    ot_session *s = NULL;
    ot_session_options options = OT_SESSION_INIT;
    options.threads = r->a->common->threads;
    options.memory = r->a->common->memory;
    options.keep_batch = true;
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    ot_status st = ot_model_open(&m, path);
    if (st == OT_OK)
        st = ot_session_create(&s, m, &options);
    if (st == OT_OK)
        check_sets(r, o, s, folder);
    else
        settle_status(o, st);
    ot_session_close(s);
    ot_model_close(m);
}

/* ---- The list of those that must pass ----------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool read_list(must_pass *m, const char *file)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(file, "r");
    if (!f) {
        ot_tool_error("%s: cannot be read", file);
        return false;
    }
    while (getline(&line, &room, f) >= 0) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line)
            continue;
        m->name = ot_tool_grow(m->name, m->n, sizeof(*m->name));
        m->name[m->n++] = line;
        line = NULL;
        room = 0;
    }
    free(line);
    fclose(f);
    if (m->n)
        qsort(m->name, m->n, sizeof(*m->name), by_name);
    m->seen = ot_tool_calloc(m->n, sizeof(*m->seen));
    return true;
}

/* Is it on the list: notes that it was there. */
static bool is_listed(must_pass *m, const char *name)
{
    char **at = m->n ? bsearch(&name, m->name, m->n, sizeof(*m->name), by_name) : NULL;
    if (at)
        m->seen[at - m->name] = true;
    return at;
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

static void add_text(texts *t, const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = ot_tool_calloc(n, 1);
    memcpy(copy, s, n);
    t->s = ot_tool_grow(t->s, t->n, sizeof(*t->s));
    t->s[t->n++] = copy;
}

static void find_cases(runner *r, const char *folder, int depth)
{
    struct dirent **entry;
    char path[PATH_BYTES];
    struct stat s;
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    if (exists(path)) {
        add_text(&r->cases, folder);
        return;
    }
    int n = depth < DEEPEST ? scandir(folder, &entry, any_entry, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
        if (lstat(path, &s) == 0 && S_ISDIR(s.st_mode))
            find_cases(r, path, depth + 1);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

/* Reasons are counted without the node's name: "node 'NAME' (OP): WHY". */
static void count_reason(runner *r, const char *reason)
{
    const char *op = strncmp(reason, "node '", 6) == 0 ? strstr(reason, "' (") : NULL;
    size_t i = 0;
    if (op)
        reason = op + 2;
    while (i < r->reasons.n && strcmp(r->reasons.s[i], reason) != 0)
        i++;
    if (i == r->reasons.n) {
        r->times = ot_tool_grow(r->times, i, sizeof(*r->times));
        add_text(&r->reasons, reason);
    }
    r->times[i]++;
}

static void report(runner *r, const char *name, const char *path, const outcome *o)
{
    static const char *const words[] = { "passed", "FAILED", "skipped" };
    static const char *const keys[] = { "passed", "failed", "skipped" };
    r->count[o->verdict]++;
    if (o->verdict == SKIPPED)
        count_reason(r, o->reason);
    if (r->list)
        json_array_append_new(r->list,
                              json_pack("{s:o, s:o, s:s, s:o}", "name", ot_json_text(name), "path", ot_json_text(path),
                                        "result", keys[o->verdict], "reason", ot_json_text(o->reason)));
    else if (o->verdict == FAILED || (o->verdict == SKIPPED && !r->a->common->quiet)) {
        ot_progress_clear();
        printf("%s %s: %s\n", words[o->verdict], name, o->reason);
    }
}

/* With a list, only what is on it can fail. */
static void weigh(runner *r, const char *name, outcome *o)
{
    char reason[REASON_BYTES];
    if (!r->a->list)
        return;
    memcpy(reason, o->reason, sizeof(reason));
    bool listed = is_listed(&r->must, name);
    if (listed && o->verdict == SKIPPED)
        settle(o, FAILED, "%s", reason);
    else if (!listed && o->verdict == FAILED)
        settle(o, SKIPPED, "not on the list, and fails");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void run_cases(runner *r)
{
    ot_progress_state p = { .what = "cases", .total = (int64_t)r->cases.n, .loss = NAN, .lr = NAN };
    outcome o;
    ot_progress_begin();
    for (size_t i = 0; i < r->cases.n; i++) {
        const char *name = base_name(r->cases.s[i]);
        check_case(r, &o, r->cases.s[i]);
        weigh(r, name, &o);
        report(r, name, r->cases.s[i], &o);
        p.done = (int64_t)i + 1;
        ot_progress_show(&p);
    }
    ot_progress_clear();
    for (size_t i = 0; i < r->must.n; i++)
        if (!r->must.seen[i]) {
            settle(&o, FAILED, "it is on the list, and there is no such folder with a model.onnx");
            report(r, r->must.name[i], "", &o);
        }
}

/* The commonest reason first. */
static void print_reasons(const runner *r)
{
    bool *said = ot_tool_calloc(r->reasons.n, sizeof(*said));
    for (size_t k = 0; k < r->reasons.n; k++) {
        size_t most = r->reasons.n;
        for (size_t i = 0; i < r->reasons.n; i++)
            if (!said[i] && (most == r->reasons.n || r->times[i] > r->times[most]))
                most = i;
        said[most] = true;
        printf("%6lld skipped: %s\n", (long long)r->times[most], r->reasons.s[most]);
    }
    free(said);
}

static bool find_all(runner *r)
{
    char folder[PATH_BYTES];
    for (size_t i = 0; i < r->a->folders->n; i++) {
        size_t before = r->cases.n;
        snprintf(folder, sizeof(folder), "%s", r->a->folders->s[i]);
        for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
            folder[n - 1] = 0;
        find_cases(r, folder, 0);
        if (r->cases.n == before) {
            ot_tool_error("%s: no folder with a model.onnx lies below it", folder);
            return false;
        }
    }
    return true;
}

/* Takes r->list over. */
static int print_counts(runner *r)
{
    int code = r->count[FAILED] ? OT_EXIT_FAILED : OT_EXIT_OK;
    json_t *list = r->list;
    r->list = NULL;
    if (list)
        return ot_print_json(json_pack("{s:I, s:I, s:I, s:o}", "passed", (json_int_t)r->count[PASSED], "failed",
                                       (json_int_t)r->count[FAILED], "skipped", (json_int_t)r->count[SKIPPED], "cases",
                                       list))
                   ? code
                   : OT_EXIT_FAILED;
    print_reasons(r);
    printf("%lld passed, %lld failed, %lld skipped\n", (long long)r->count[PASSED], (long long)r->count[FAILED],
           (long long)r->count[SKIPPED]);
    return code;
}

static void free_texts(char **s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(s[i]);
    free(s);
}

int ot_check_folders(const ot_cases_args *a)
{
    runner r = { .a = a, .list = a->common->json ? json_array() : NULL };
    int code = OT_EXIT_FAILED;
    if ((!a->list || read_list(&r.must, a->list)) && find_all(&r)) {
        run_cases(&r);
        code = print_counts(&r);
    }
    json_decref(r.list);
    free_texts(r.must.name, r.must.n);
    free(r.must.seen);
    free_texts(r.cases.s, r.cases.n);
    free_texts(r.reasons.s, r.reasons.n);
    free(r.times);
    return code;
}
