/* Shape rules of operators by index, when some rank is not known: types, and what dims can be told, as ONNX tells. */
#include "exec/executor.h"
#include "graph/derive.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define OF(type_, rank_)                                                                                               \
    {                                                                                                                  \
        .dtype = type_, .rank = rank_, .dim = { 2, 3, 4 }                                                              \
    }
#define OPEN_OF(type_)                                                                                                 \
    {                                                                                                                  \
        .dtype = type_, .rank = -1                                                                                     \
    }

typedef struct open_case {
    const char *op;
    const ot_attr *attrs;
    int n_in, n_out;
    ot_fact in[3];
    ot_dtype dtype; /* of output 0, or of the last output where `of_last` */
    int rank;
    ot_dim dim[3]; /* -1: not a number */
    bool of_last;
} open_case;

#define F OT_FLOAT
#define I OT_INT64

static const open_case rows[] = {
    { .op = "GatherElements",
      .n_in = 2,
      .in = { OPEN_OF(F), OF(I, 2) },
      .n_out = 1,
      .dtype = F,
      .rank = 2,
      .dim = { 2, 3 } },
    { .op = "GatherElements", .n_in = 2, .in = { OF(F, 2), OPEN_OF(I) }, .n_out = 1, .dtype = F, .rank = -1 },
    { .op = "GatherND", .n_in = 2, .in = { OPEN_OF(F), OF(I, 2) }, .n_out = 1, .dtype = F, .rank = -1 },
    { .op = "ScatterElements",
      .n_in = 3,
      .in = { OF(F, 2), OPEN_OF(I), OPEN_OF(F) },
      .n_out = 1,
      .dtype = F,
      .rank = 2,
      .dim = { 2, 3 } },
    { .op = "ScatterND",
      .n_in = 3,
      .in = { OF(F, 2), OPEN_OF(I), OPEN_OF(F) },
      .n_out = 1,
      .dtype = F,
      .rank = 2,
      .dim = { 2, 3 } },
    { .op = "TensorScatter",
      .n_in = 3,
      .in = { OF(F, 3), OPEN_OF(F), OPEN_OF(I) },
      .n_out = 1,
      .dtype = F,
      .rank = 3,
      .dim = { 2, 3, 4 } },
    { .op = "OneHot", .n_in = 3, .in = { OPEN_OF(I), OF(I, 0), OF(F, 1) }, .n_out = 1, .dtype = F, .rank = -1 },
    { .op = "OneHot",
      .n_in = 3,
      .in = { OF(I, 1), OPEN_OF(I), OPEN_OF(F) },
      .n_out = 1,
      .dtype = F,
      .rank = 2,
      .dim = { 2, -1 } },
    { .op = "TopK", .n_in = 2, .in = { OPEN_OF(F), OF(I, 0) }, .n_out = 2, .dtype = F, .rank = -1 },
    { .op = "TopK",
      .n_in = 2,
      .in = { OF(F, 2), OPEN_OF(I) },
      .n_out = 2,
      .dtype = I,
      .rank = 2,
      .dim = { 2, -1 },
      .of_last = true },
    { .op = "Tile", .n_in = 2, .in = { OPEN_OF(F), OF(I, 1) }, .n_out = 1, .dtype = F, .rank = -1 },
    { .op = "Tile", .n_in = 2, .in = { OF(F, 2), OPEN_OF(I) }, .n_out = 1, .dtype = F, .rank = 2, .dim = { -1, -1 } },
    { .op = "CumSum", .n_in = 2, .in = { OF(F, 2), OPEN_OF(I) }, .n_out = 1, .dtype = F, .rank = 2, .dim = { 2, 3 } },
    { .op = "Trilu", .n_in = 2, .in = { OF(F, 2), OPEN_OF(I) }, .n_out = 1, .dtype = F, .rank = 2, .dim = { 2, 3 } },
    { .op = "NonZero", .n_in = 1, .in = { OPEN_OF(F) }, .n_out = 1, .dtype = I, .rank = 2, .dim = { -1, -1 } },
    { .op = "NonZero", .n_in = 1, .in = { OF(F, 3) }, .n_out = 1, .dtype = I, .rank = 2, .dim = { 3, -1 } },
    { .op = "Unique", .n_in = 1, .in = { OPEN_OF(F) }, .n_out = 4, .dtype = F, .rank = 1, .dim = { -1 } },
    { .op = "Unique",
      .n_in = 1,
      .in = { OPEN_OF(F) },
      .n_out = 4,
      .dtype = I,
      .rank = 1,
      .dim = { -1 },
      .of_last = true },
    { .op = "ReverseSequence",
      .n_in = 2,
      .in = { OF(F, 2), OPEN_OF(I) },
      .n_out = 1,
      .dtype = F,
      .rank = 2,
      .dim = { 2, 3 } },
    { .op = "CenterCropPad",
      .n_in = 2,
      .in = { OF(F, 2), OPEN_OF(I) },
      .n_out = 1,
      .dtype = F,
      .rank = 2,
      .dim = { -1, -1 } },
    { .op = "Range",
      .n_in = 3,
      .in = { OPEN_OF(F), OPEN_OF(F), OPEN_OF(F) },
      .n_out = 1,
      .dtype = F,
      .rank = 1,
      .dim = { -1 } },
    { .op = "Einsum",
      .attrs = OT_ATTRS(OT_TEXT("equation", "ij,jk")),
      .n_in = 2,
      .in = { OPEN_OF(F), OF(F, 2) },
      .n_out = 1,
      .dtype = F,
      .rank = -1 },
    { .op = "Det", .n_in = 1, .in = { OPEN_OF(F) }, .n_out = 1, .dtype = F, .rank = -1 },
    { .op = "Multinomial",
      .attrs = OT_ATTRS(OT_INT("sample_size", 5)),
      .n_in = 1,
      .in = { OPEN_OF(F) },
      .n_out = 1,
      .dtype = OT_INT32,
      .rank = 2,
      .dim = { -1, 5 } },
    { .op = "Bernoulli",
      .attrs = OT_ATTRS(OT_INT("dtype", OT_BOOL)),
      .n_in = 1,
      .in = { OPEN_OF(F) },
      .n_out = 1,
      .dtype = OT_BOOL,
      .rank = -1 },
    { .op = "RandomNormalLike", .n_in = 1, .in = { OPEN_OF(F) }, .n_out = 1, .dtype = F, .rank = -1 },
    { .op = "EyeLike", .n_in = 1, .in = { OPEN_OF(I) }, .n_out = 1, .dtype = I, .rank = -1 },
    { .op = "DepthToSpace",
      .attrs = OT_ATTRS(OT_INT("blocksize", 2)),
      .n_in = 1,
      .in = { OPEN_OF(F) },
      .n_out = 1,
      .dtype = F,
      .rank = -1 },
};

static ot_status derive(ot_graph *g, const open_case *row, ot_val *out)
{
    static const ot_attr none = { 0 };
    const ot_op *op;
    ot_build b = { .g = g, .prefix = "n", .layer = -1 };
    const char *const names[4] = { "y0", "y1", "y2", "y3" };
    ot_val in[3];
    OT_TRY(ot_find_op(&op, "", row->op, OT_LATEST));
    for (int i = 0; i < row->n_in; i++) {
        char name[8];
        snprintf(name, sizeof(name), "x%d", i);
        in[i] = ot_graph_input(g, name, &row->in[i]);
    }
    return ot_derive_node(&b, op, OT_LATEST, "n", row->attrs ? row->attrs : &none, row->n_in, in, row->n_out, out,
                          names, false);
}

static void open_ranks(void)
{
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        const open_case *row = &rows[k];
        ot_graph *g = NULL;
        ot_val out[4];
        if (CHECK_OK(ot_graph_create(&g)) && CHECK_OK(derive(g, row, out))) {
            const ot_fact *f = &g->value[out[row->of_last ? row->n_out - 1 : 0]].fact;
            bool ok = f->dtype == row->dtype && f->rank == row->rank;
            for (int d = 0; ok && d < f->rank; d++)
                ok = row->dim[d] < 0 ? ot_is_symbol(f->dim[d]) : f->dim[d] == row->dim[d];
            if (!CHECK(ok)) {
                char text[200];
                printf("    row %zu, %s: %s\n", k, row->op, ot_fact_text(g, f, text, sizeof(text)));
            }
        }
        ot_graph_close(g);
    }
}

const ot_test open_rank_tests[] = { { "operators by index", open_ranks }, { 0 } };
