#include "harness.h"
#include "base/arena.h"
#include "base/half.h"
#include "base/rng.h"
#include "base/strmap.h"
#include "base/tensor.h"
#include "base/threads.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void errors(void)
{
    CHECK(ot_fail(OT_ESHAPE, "A has %d columns", 4) == OT_ESHAPE);
    CHECK(ot_context(OT_ESHAPE, "node '%s'", "fc9") == OT_ESHAPE);
    CHECK(strcmp(ot_last_error(), "node 'fc9': A has 4 columns") == 0);
    ot_fail(OT_EMODEL, "a\nb");
    CHECK(strcmp(ot_last_error(), "a?b") == 0);
}

static void alloc_fails_when_told(void)
{
    int64_t before = ot_live_blocks();
    ot_fail_alloc_after(1);
    void *a = ot_malloc(10, 1), *b = ot_malloc(10, 1);
    ot_fail_alloc_after(-1);
    CHECK(a && !b);
    ot_free(a);
    CHECK(ot_live_blocks() == before);
    CHECK(!ot_malloc(SIZE_MAX / 2, 3));
}

static void arena(void)
{
    ot_arena a = { 0 };
    int64_t before = ot_live_blocks();
    char *s = ot_arena_printf(&a, "%s-%d", "x", 7);
    double *big = ot_arena_calloc(&a, 100000, sizeof(double));
    CHECK(strcmp(s, "x-7") == 0 && big[99999] == 0 && (uintptr_t)big % 64 == 0);
    ot_arena_release(&a);
    CHECK(ot_live_blocks() == before);
}

static void strmap(void)
{
    ot_strmap m = { 0 };
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        CHECK_OK(ot_strmap_put(&m, key, i));
    }
    CHECK_OK(ot_strmap_put(&m, "k5", 77));
    CHECK(m.n == 1000 && ot_strmap_get(&m, "k5", -1) == 77 && ot_strmap_get(&m, "k999", -1) == 999);
    CHECK(ot_strmap_get(&m, "nope", -1) == -1);
    ot_strmap_release(&m);
}

static void rng(void)
{
    uint32_t w[4];
    ot_rng_block(0, 0, w); /* the known answer of Philox4x32-10 for a zero counter and key */
    CHECK(w[0] == 0x6627e8d5 && w[1] == 0xe169c58d && w[2] == 0xbc57ac4c && w[3] == 0x9b00dbd8);
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        double z = ot_rng_normal(ot_rng_key(42, 1, 2, 3), i);
        sum += z;
        squares += z * z;
    }
    CHECK(fabs(sum / 10000) < .05 && fabs(squares / 10000 - 1) < .05);
    int64_t p[50], seen[50] = { 0 };
    ot_rng_permute(7, p, 50);
    for (int i = 0; i < 50; i++)
        seen[p[i]]++;
    for (int i = 0; i < 50; i++)
        CHECK(seen[i] == 1);
}

static void halves(void)
{
    for (uint32_t h = 0; h < 65536; h++) { /* every half survives the way to float and back */
        float f = ot_f16_to_float((uint16_t)h), g = ot_bf16_to_float((uint16_t)h);
        CHECK(isnan(f) || ot_float_to_f16(f) == h);
        CHECK(isnan(g) || ot_float_to_bf16(g) == h);
    }
    CHECK(ot_float_to_f16(65519.99f) == 0x7bff && ot_float_to_f16(65520.f) == 0x7c00);
    CHECK(ot_float_to_f16(1.0f + 0x1p-11f) == 0x3c00 && ot_float_to_f16(1.0f + 3 * 0x1p-11f) == 0x3c02);
    CHECK(ot_float_to_f16(0x1p-25f) == 0 && ot_float_to_f16(0x1.8p-25f) == 1);
}

static void tensors(void)
{
    ot_tensor *t;
    CHECK_OK(ot_tensor_create(&t, OT_INT4, 2, (int64_t[]){ 3, 3 }));
    CHECK(ot_tensor_count(t) == 9 && ot_tensor_bytes(t) == 5);
    ((uint8_t *)t->data)[0] = 0x8f;
    CHECK(ot_tensor_get(t, 0) == -1 && ot_tensor_get(t, 1) == -8);
    ot_tensor_free(t);
    CHECK_FAILS(ot_tensor_create(&t, OT_FLOAT, 2, (int64_t[]){ INT64_MAX, 4 }), OT_EARG, "out of range");
    CHECK_FAILS(ot_tensor_create(&t, OT_FLOAT, 2, (int64_t[]){ 2, -4 }), OT_EARG, "[2,?]");
    CHECK_FAILS(ot_tensor_create(&t, (ot_dtype)99, 0, NULL), OT_EARG, "99");
    CHECK_OK(ot_tensor_create(&t, OT_INT8, 1, (int64_t[]){ 3 }));
    ot_tensor_set(t, 0, 1000);
    ot_tensor_set(t, 1, -3.7);
    ot_tensor_set(t, 2, (double)NAN);
    CHECK(ot_tensor_get(t, 0) == 127 && ot_tensor_get(t, 1) == -3 && ot_tensor_get(t, 2) == 0);
    ot_tensor_free(t);
}

struct tally {
    atomic_int hits[1000];
};

static void count_block(void *ctx, int64_t block, int worker)
{
    (void)worker;
    atomic_fetch_add(&((struct tally *)ctx)->hits[block], 1);
}

static void threads(void)
{
    static struct tally tally;
    ot_threads *t;
    CHECK_OK(ot_threads_create(&t, 4));
    for (int round = 0; round < 50; round++)
        ot_threads_run(t, 1000, count_block, &tally);
    for (int i = 0; i < 1000; i++)
        CHECK(tally.hits[i] == 50);
    ot_threads_close(t);
    CHECK(ot_physical_cores() >= 1);
}

const ot_test base_tests[] = {
    { "errors", errors },
    { "alloc", alloc_fails_when_told },
    { "arena", arena },
    { "strmap", strmap },
    { "rng", rng },
    { "halves", halves },
    { "tensors", tensors },
    { "threads", threads },
    { 0 },
};
