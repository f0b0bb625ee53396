#include "bench.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

static const char *mode_of(const ot_bench_row *row)
{
    return row->train ? "train" : "infer";
}

static double per_second(const ot_bench_row *row)
{
    return 1e3 * (double)row->batch / ot_bench_median(&row->times);
}

/* The most memory that the process has held so far. */
static double peak_bytes(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? 1024.0 * (double)u.ru_maxrss : 0;
}

static int threads_of(const ot_bench *b, const ot_version *v)
{
    return b->a->common.threads ? b->a->common.threads : v->cores;
}

/* Two operations a multiply-add; NaN where they are not counted. */
static double gflops(double macs, double ms)
{
    return macs > 0 && ms > 0 ? 2e-6 * macs / ms : (double)NAN;
}

static double all_macs(const ot_bench_row *row)
{
    double macs = 0;
    for (size_t i = 0; i < row->n_node; i++)
        macs += row->node[i].macs;
    return macs;
}

static double all_ms(const ot_bench_row *row)
{
    double ms = 0;
    for (size_t i = 0; i < row->n_node; i++)
        ms += row->node[i].ms;
    return ms;
}

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static json_t *rows_json(const ot_bench *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->n_row; i++) {
        const ot_bench_row *row = &b->row[i];
        json_array_append_new(list, json_pack("{s:I, s:s, s:o, s:o, s:o, s:I, s:I}", "batch", (json_int_t)row->batch,
                                              "mode", mode_of(row), "min_ms", ot_json_real(ot_bench_min(&row->times)),
                                              "median_ms", ot_json_real(ot_bench_median(&row->times)), "images_per_s",
                                              ot_json_real(per_second(row)), "repeats", (json_int_t)row->times.n,
                                              "planned_bytes", (json_int_t)row->planned));
    }
    return list;
}

static json_t *nodes_json(const ot_bench *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->n_row; i++) {
        const ot_bench_row *row = &b->row[i];
        double all = all_ms(row);
        for (size_t k = 0; k < row->n_node; k++) {
            const ot_bench_node *n = &row->node[k];
            json_t *dims = json_array();
            for (int d = 0; d < 4; d++)
                json_array_append_new(dims, json_integer(n->output[d]));
            json_array_append_new(list, json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "batch",
                                                  (json_int_t)row->batch, "mode", mode_of(row), "node",
                                                  ot_json_text(n->node), "operator", ot_json_text(n->op), "kernel",
                                                  ot_json_text(n->kernel), "output", dims, "min_ms",
                                                  ot_json_real(n->ms), "share", ot_json_real(all > 0 ? n->ms / all : 0),
                                                  "gflops", ot_json_real(gflops(n->macs, n->ms))));
        }
    }
    return list;
}

static bool print_json(const ot_bench *b, const ot_version *v)
{
    return ot_print_json(
        json_pack("{s:o, s:i, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "model", ot_json_text(b->a->model), "threads",
                  threads_of(b, v), "isa", v->isa, "load_ms", ot_json_real(ot_bench_median(&b->load)), "load_min_ms",
                  ot_json_real(ot_bench_min(&b->load)), "first_ms", ot_json_real(ot_bench_median(&b->first)),
                  "first_min_ms", ot_json_real(ot_bench_min(&b->first)), "peak_bytes", (json_int_t)peak_bytes(), "runs",
                  rows_json(b), "nodes", nodes_json(b)));
}

/* ---- Text ---------------------------------------------------------------------------------------------------- */

static void print_rows(const ot_bench *b)
{
    static const char *const heads[] = { "mode", "batch", "runs", "least ms", "median ms", "samples/s", "planned" };
    ot_table *t = ot_table_open("lrrrrrr");
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        ot_table_cell(t, "%s", heads[i]);
    for (size_t i = 0; i < b->n_row; i++) {
        const ot_bench_row *row = &b->row[i];
        ot_table_cell(t, "%s", mode_of(row));
        ot_table_cell(t, "%lld", (long long)row->batch);
        ot_table_cell(t, "%zu", row->times.n);
        ot_table_cell(t, "%.3f", ot_bench_min(&row->times));
        ot_table_cell(t, "%.3f", ot_bench_median(&row->times));
        ot_table_cell(t, "%.1f", per_second(row));
        ot_table_cell(t, "%s", ot_bytes_text((double)row->planned));
    }
    ot_table_print(t);
}

static int slower_first(const void *a, const void *b)
{
    const ot_bench_node *x = *(const ot_bench_node *const *)a, *y = *(const ot_bench_node *const *)b;
    if (x->ms != y->ms)
        return x->ms < y->ms ? 1 : -1;
    return (x > y) - (x < y);
}

static void print_nodes(const ot_bench_row *row)
{
    static const char *const heads[] = { "share", "ms", "GFLOP/s", "operator", "kernel", "output", "node" };
    const ot_bench_node **sorted = ot_tool_calloc(row->n_node, sizeof(*sorted));
    double all = all_ms(row);
    for (size_t i = 0; i < row->n_node; i++)
        sorted[i] = &row->node[i];
    qsort(sorted, row->n_node, sizeof(*sorted), slower_first);
    printf("\n%s, batch %lld: %zu nodes, %.3f ms: the sum of the fastest run of each", mode_of(row),
           (long long)row->batch, row->n_node, all);
    if (all_macs(row) > 0)
        printf("; %.4g G multiply-adds", 1e-9 * all_macs(row));
    putchar('\n');
    if (row->parts > 1)
        printf(
            "the batch runs in parts: each time is that of the node's fastest part times %.4g, the output a part's\n",
            row->parts);
    ot_table *t = ot_table_open("rrrllll");
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        ot_table_cell(t, "%s", heads[i]);
    for (size_t i = 0; i < row->n_node; i++) {
        const ot_bench_node *n = sorted[i];
        ot_table_cell(t, "%.1f %%", all > 0 ? 100 * n->ms / all : 0);
        ot_table_cell(t, "%.3f", n->ms);
        if (n->macs > 0 && n->ms > 0)
            ot_table_cell(t, "%.1f", gflops(n->macs, n->ms));
        else
            ot_table_cell(t, "%s", "");
        ot_table_cell(t, "%s", n->op);
        ot_table_cell(t, "%s", n->kernel);
        ot_table_cell(t, "%lldx%lldx%lldx%lld", (long long)n->output[0], (long long)n->output[1],
                      (long long)n->output[2], (long long)n->output[3]);
        ot_table_cell(t, "%s", n->node);
    }
    ot_table_print(t);
    free(sorted);
}

static void print_text(const ot_bench *b, const ot_version *v)
{
    printf("%s: %d %s, %s\n", b->a->model, threads_of(b, v), threads_of(b, v) == 1 ? "thread" : "threads", v->isa);
    printf("load: %.2f ms, %.2f to the first result (medians of %zu; least %.2f and %.2f)\n", ot_bench_median(&b->load),
           ot_bench_median(&b->first), b->load.n, ot_bench_min(&b->load), ot_bench_min(&b->first));
    printf("peak memory of the process: %s\n\n", ot_bytes_text(peak_bytes()));
    print_rows(b);
    for (size_t i = 0; i < b->n_row; i++)
        if (b->row[i].n_node)
            print_nodes(&b->row[i]);
}

bool ot_bench_report(const ot_bench *b)
{
    ot_version v;
    ot_version_info(&v);
    if (b->a->common.json)
        return print_json(b, &v);
    print_text(b, &v);
    return true;
}
