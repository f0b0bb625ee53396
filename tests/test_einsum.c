/* Einsum with its gradients, and Det. */
#include "op_case.h"

#define EQ(s) .attrs = OT_ATTRS(OT_TEXT("equation", s))
#define XS(...)                                                                                                        \
    {                                                                                                                  \
        .dtype = OT_FLOAT, .grad = true, OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                       \
    }

static const op_case einsum_rows[] = {
    { .op = "Einsum", EQ("ij,jk->ik"), .in = { OP_X(2, 3), OP_X(3, 4) }, OP_WANT_DIM(2, 4) },
    { .op = "Einsum", EQ("ij,jk"), .in = { OP_X(2, 3), OP_X(3, 4) }, OP_WANT_DIM(2, 4) },
    { .op = "Einsum", EQ(" b i j , b k j -> b k i "), .in = { OP_X(2, 3, 4), OP_X(2, 2, 4) }, OP_WANT_DIM(2, 2, 3) },
    { .op = "Einsum", EQ("bhid,bhjd->bhij"), .in = { OP_X(2, 2, 3, 2), OP_X(2, 2, 4, 2) }, OP_WANT_DIM(2, 2, 3, 4) },
    { .op = "Einsum", EQ("bihd,bjhd->bhij"), .in = { OP_F(2, 30, 3, 20), OP_F(2, 17, 3, 20) } },
    { .op = "Einsum", EQ("...ij,...jk->...ik"), .in = { OP_X(2, 1, 2, 3), OP_X(3, 3, 2) }, OP_WANT_DIM(2, 3, 2, 2) },
    { .op = "Einsum", EQ("...ij->...ji"), .in = { OP_X(2, 2, 3) }, OP_WANT_DIM(2, 3, 2) },
    { .op = "Einsum", EQ("...ii->...i"), .in = { OP_X(2, 3, 3) }, OP_WANT_DIM(2, 3) },
    { .op = "Einsum", EQ("ii"), .in = { OP_X(3, 3) }, .want_rank = 1 },
    { .op = "Einsum", EQ("iij,jj->ij"), .in = { OP_X(2, 2, 3), OP_X(3, 3) }, OP_WANT_DIM(2, 3) },
    { .op = "Einsum", EQ("ij->i"), .in = { OP_X(2, 3) }, OP_WANT_DIM(2) },
    { .op = "Einsum", EQ("ba"), .in = { OP_X(2, 3) }, OP_WANT_DIM(3, 2) },
    { .op = "Einsum", EQ("bA"), .in = { OP_X(2, 3) }, OP_WANT_DIM(3, 2) },
    { .op = "Einsum", EQ("i,i->"), .in = { XS(1, 2, 3), XS(4, 5, 6) }, OP_WANT(32) },
    { .op = "Einsum", EQ("i,j->ij"), .in = { XS(1, 2), XS(4, 5, 6) }, OP_WANT(4, 5, 6, 8, 10, 12) },
    { .op = "Einsum", EQ("i,j->"), .in = { XS(1, 2), XS(4, 5) }, OP_WANT(27) },
    { .op = "Einsum", EQ("->"), .in = { OP_X_SCALAR }, .want_rank = 1 },
    { .op = "Einsum", EQ(",i->i"), .in = { OP_X_SCALAR, OP_X(3) }, OP_WANT_DIM(3) },
    { .op = "Einsum", EQ("ij,ij->j"), .in = { OP_X(2, 3), OP_X(1, 3) }, OP_WANT_DIM(3) },
    { .op = "Einsum", EQ("i...->..."), .in = { OP_X(2, 3, 2) }, OP_WANT_DIM(3, 2) },
    { .op = "Einsum", EQ("i...->i"), .in = { OP_X(2, 3, 2) }, OP_WANT_DIM(2) },
    { .op = "Einsum", EQ("ij,jk->ik"), .in = { OP_X(2, 0), OP_X(0, 4) }, OP_WANT_DIM(2, 4) },
    { .op = "Einsum", EQ("ij,jk,kl->il"), .in = { OP_X(2, 3), OP_X(3, 2), OP_X(2, 2) }, OP_WANT_DIM(2, 2) },
    { .op = "Einsum", EQ("ii,i...,j->j..."), .in = { OP_X(2, 2), OP_X(2, 3), OP_X(2) }, OP_WANT_DIM(2, 3) },
    { .op = "Einsum",
      EQ("ij,jk->ik"),
      .in = { { .dtype = OT_INT32, OP_DIMS(1, 2), OP_VALUES(3, -4) },
              { .dtype = OT_INT32, OP_DIMS(2, 1), OP_VALUES(5, 6) } },
      OP_WANT(-9) },
    { .op = "Einsum", EQ("ij,jk->ik"), .in = { OP_F(2, 3), OP_F(2, 4) }, .fails = "a label is 3 and 2" },
    { .op = "Einsum", EQ("ij,jk->iz"), .in = { OP_F(2, 3), OP_F(3, 4) }, .fails = "in no operand" },
    { .op = "Einsum", EQ("ij->ii"), .in = { OP_F(2, 3) }, .fails = "there twice" },
    { .op = "Einsum", EQ("ijk->i"), .in = { OP_F(2, 3) }, .fails = "rank 2 for the term 'ijk'" },
    { .op = "Einsum", EQ("ij,j->i"), .in = { OP_F(2, 3) }, .fails = "2 operands, there are 1" },
    { .op = "Einsum", EQ("i1->i"), .in = { OP_F(2, 3) }, .fails = "a wrong '1'" },
    { .op = "Einsum", EQ("i-j"), .in = { OP_F(2) }, .fails = "a wrong '-'" },
    { .op = "Einsum", .in = { OP_F(2) }, .fails = "equation is missing" },
    { .op = "EinsumLike", EQ("i->ii"), .in = { OP_F(3, 3), XS(1, 2, 3) }, OP_WANT(1, 0, 0, 0, 2, 0, 0, 0, 3) },
    { .op = "EinsumLike", EQ("i->ij"), .in = { OP_F(2, 2), XS(1, 2) }, OP_WANT(1, 1, 2, 2) },
    { 0 },
};

static const op_case det_rows[] = {
    { .op = "Det", .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(2, 2), OP_VALUES(0, 2, 3, 4) } }, OP_WANT(-6) },
    { .op = "Det", .in = { OP_X(2, 3, 3) }, OP_WANT_DIM(2) },
    { .op = "Det", .opset = 11, .in = { OP_X(1, 1) }, .want_rank = 1 },
    { .op = "Det", .in = { OP_X(2, 0, 0) }, OP_WANT(1, 1) },
    { .op = "Det", .in = { OP_X(0, 2, 2) }, OP_WANT_DIM(0) },
    { .op = "Det",
      .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(3, 3), OP_VALUES(1, 2, 3, 2, 4, 6, 1, 0, 1) } },
      OP_WANT(0) },
    { .op = "Det", .in = { { .dtype = OT_FLOAT, .grad = true, OP_DIMS(2, 2), OP_VALUES(0, 0, 0, 0) } }, OP_WANT(0) },
    { .op = "Det", .in = { OP_F(2, 3) }, .fails = "rows and columns" },
    { .op = "Det", .in = { OP_F(2) }, .fails = "rank 1" },
    { 0 },
};

static void einsum(void)
{
    op_cases_run(einsum_rows);
}

static void det(void)
{
    op_cases_run(det_rows);
}

const ot_test einsum_tests[] = { { "equations", einsum }, { "det", det }, { 0 } };
