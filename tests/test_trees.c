/* TreeEnsemble: two trees over three features, every kind of comparison, what is missing, and damaged trees. */
#include "op_case.h"

#include <math.h>

#define LIST(name, ...) OT_INTS(name, ((const int64_t[]){ __VA_ARGS__ }), OP_COUNT_(__VA_ARGS__))
#define TENSOR(key, of, count, data_)                                                                                  \
    {                                                                                                                  \
        .name = (key), .type = OT_ATTR_TENSOR, .tensor = &(const ot_tensor)                                            \
        {                                                                                                              \
            .dtype = (of), .rank = 1, .dim = { count }, .data = data_                                                  \
        }                                                                                                              \
    }
#define ENSEMBLE .op = "TreeEnsemble", .domain = "ai.onnx.ml", .opset = 5
#define X(rows, ...)                                                                                                   \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(rows, 3), OP_VALUES(__VA_ARGS__)                                      \
    }

static float weights[] = { 1, 2, 4, -8, 0.5f };
static float splits[] = { 1.5f, -2, 3 };
static double wide_splits[] = { 1.5, -2, 3 };
static float members[] = { 7, -1, 2.5f, NAN };
static uint8_t leq[] = { 0, 0, 0 }, lt_gt[] = { 1, 3, 2 }, eq_member[] = { 4, 6, 5 }, bad_mode[] = { 0, 9, 0 };

/* Node 0 asks feature 0: leaf 0, or node 1, which asks feature 1: leaves 1 and 2.  Node 2 asks feature 2: leaves 3, 4.
 */
#define SHAPE(modes, split_type, split) LIST("tree_roots", 0, 2), REST(modes, split_type, split)
#define THREE                           LIST("tree_roots", 0, 1, 2), REST(leq, OT_FLOAT, splits)
#define REST(modes, split_type, split)                                                                                 \
    LIST("nodes_featureids", 0, 1, 2), TENSOR("nodes_modes", OT_UINT8, 3, modes),                                      \
        TENSOR("nodes_splits", split_type, 3, split), LIST("nodes_truenodeids", 0, 1, 3),                              \
        LIST("nodes_trueleafs", 1, 1, 1), LIST("nodes_falsenodeids", 1, 2, 4), LIST("nodes_falseleafs", 0, 1, 1),      \
        LIST("leaf_targetids", 0, 1, 0, 1, 0), TENSOR("leaf_weights", OT_FLOAT, 5, weights)
#define TREES(modes) SHAPE(modes, OT_FLOAT, splits), OT_INT("n_targets", 2)
#define F(rows, ...)                                                                                                   \
    {                                                                                                                  \
        .dtype = OT_FLOAT, OP_DIMS(rows, 3), OP_VALUES(__VA_ARGS__)                                                    \
    }
#define AWAY X(3, 1, 0, 0, 2, -3, 0, 2, 0, 4) /* from every split */
#define ROWS F(4, 1, 0, 0, 2, -3, 0, 2, 0, 4, 1.5, -2, 3)

static const op_case rows[] = {
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq)), .in = { AWAY }, OP_WANT(1, -8, 0, 2 - 8, 4.5, 0) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq)), .in = { ROWS }, OP_WANT(1, -8, 0, 2 - 8, 4.5, 0, 1, -8) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(lt_gt)), .in = { F(2, 1.5, -2, 3, 1, 0, 0) }, OP_WANT(4, -8, 1.5, 0) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(eq_member), TENSOR("membership_values", OT_FLOAT, 4, members)),
      .in = { F(4, 1.5, 0, 3, 0, 2.5, 0, 0, -1, 3, 0, NAN, NAN) }, OP_WANT(1.5, 0, 0, 2 - 8, 0.5, 2, 4, -8) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), LIST("nodes_missing_value_tracks_true", 1, 0, 0)),
      .in = { F(1, NAN, 0, NAN) }, OP_WANT(1.5, 0) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), OT_INT("aggregate_function", 0)), .in = { AWAY },
      OP_WANT(0.5, -4, 0, -3, 2.25, 0) },
    { ENSEMBLE, .attrs = OT_ATTRS(THREE, OT_INT("aggregate_function", 2)), .in = { F(1, 1, -3, 4) }, OP_WANT(0.5, 2) },
    { ENSEMBLE, .attrs = OT_ATTRS(THREE, OT_INT("aggregate_function", 3)), .in = { F(1, 1, -3, 4) }, OP_WANT(1, 2) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), OT_INT("post_transform", 1)), .in = { X(1, 2, 0, 4) },
      OP_WANT(0.98901306, 0.01098694) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), OT_INT("post_transform", 2)), .in = { X(1, 2, 0, 4) },
      OP_WANT(0.98901306, 0.5) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), OT_INT("post_transform", 3)), .in = { X(1, 2, 0, 4) }, OP_WANT(1, 0) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), OT_INT("post_transform", 4)), .in = { F(1, 2, -3, 4) }, OP_WANT(0, NAN) },
    { ENSEMBLE, .attrs = OT_ATTRS(SHAPE(leq, OT_DOUBLE, wide_splits)), .in = { ROWS }, OP_WANT_DIM(4, 2) },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq)), .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(0, 3) } } },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq)), .in = { OP_F(4, 2) }, .fails = "nodes_featureids[2] is 2 of 2" },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq)), .in = { OP_F(4) }, .fails = "rank" },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(bad_mode)), .in = { OP_F(4, 3) }, .fails = "nodes_modes[1] is 9" },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(eq_member)), .in = { OP_F(4, 3) }, .fails = "0 sets, wanted are 1" },
    { ENSEMBLE, .attrs = OT_ATTRS(SHAPE(leq, OT_FLOAT, splits), OT_INT("n_targets", 1)), .in = { OP_F(4, 3) },
      .fails = "leaf_targetids[1] is 1 of 1" },
    { ENSEMBLE, .attrs = OT_ATTRS(TREES(leq), OT_INT("aggregate_function", 4)), .in = { OP_F(4, 3) },
      .fails = "aggregate_function 4" },
    { ENSEMBLE,
      .attrs = OT_ATTRS(LIST("tree_roots", 0), LIST("nodes_featureids", 0, 1), TENSOR("nodes_modes", OT_UINT8, 2, leq),
                        TENSOR("nodes_splits", OT_FLOAT, 2, splits), LIST("nodes_truenodeids", 1, 0),
                        LIST("nodes_trueleafs", 0, 0), LIST("nodes_falsenodeids", 0, 0), LIST("nodes_falseleafs", 1, 1),
                        LIST("leaf_targetids", 0), TENSOR("leaf_weights", OT_FLOAT, 1, weights)),
      .in = { OP_F(4, 3) }, .fails = "2 nodes of trees lead around in a circle" },
    { 0 },
};

static void ensemble(void)
{
    op_cases_run(rows);
}

const ot_test trees_tests[] = { { "ensemble", ensemble }, { 0 } };
