#include "harness.h"
#include "base/file.h"
#include "data/npy.h"

#include <stdio.h>
#include <string.h>

static char path[512];

static void round_trips(void)
{
    static const ot_dtype all[] = { OT_BOOL,   OT_INT8,  OT_UINT8,  OT_INT16,   OT_UINT16, OT_INT32,
                                    OT_UINT32, OT_INT64, OT_UINT64, OT_FLOAT16, OT_FLOAT,  OT_DOUBLE };
    snprintf(path, sizeof(path), "%s", test_tmp("a.npy"));
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
        for (int rank = 0; rank < 4; rank++) {
            ot_tensor *a, *b;
            CHECK_OK(ot_tensor_create(&a, all[k], rank, (int64_t[]){ 2, 3, 5 }));
            for (int64_t i = 0; i < ot_tensor_count(a); i++)
                ot_tensor_set(a, i, all[k] == OT_BOOL ? (double)(i % 2) : (double)(i * 3 % 17));
            CHECK_OK(ot_npy_write(path, a));
            if (CHECK_OK(ot_npy_read(&b, path))) {
                CHECK(b->dtype == all[k] && b->rank == rank && ot_tensor_bytes(a) == ot_tensor_bytes(b));
                CHECK(memcmp(a->data, b->data, ot_tensor_bytes(a)) == 0);
            }
            ot_tensor_free(a);
            ot_tensor_free(b);
        }
}

static void converted_types(void)
{
    ot_tensor *a, *b;
    snprintf(path, sizeof(path), "%s", test_tmp("b.npy"));
    CHECK_OK(ot_tensor_create(&a, OT_INT4, 1, (int64_t[]){ 5 }));
    memcpy(a->data, "\xED\x0F\x01", 3); /* -3 -2 -1 0 1 */
    CHECK_OK(ot_npy_write(path, a));
    CHECK_OK(ot_npy_read(&b, path));
    CHECK(b && b->dtype == OT_INT8 && ot_tensor_get(b, 0) == -3 && ot_tensor_get(b, 4) == 1);
    ot_tensor_free(a);
    ot_tensor_free(b);
    CHECK_OK(ot_tensor_create(&a, OT_BFLOAT16, 2, (int64_t[]){ 1, 2 }));
    ot_tensor_set(a, 1, -1.5);
    CHECK_OK(ot_npy_write(path, a));
    CHECK_OK(ot_npy_read(&b, path));
    CHECK(b && b->dtype == OT_FLOAT && ot_tensor_get(b, 1) == -1.5);
    ot_tensor_free(a);
    ot_tensor_free(b);
    CHECK_OK(ot_tensor_create(&a, OT_STRING, 0, NULL));
    CHECK_FAILS(ot_npy_write(path, a), OT_EUNSUPPORTED, "string");
    ot_tensor_free(a);
}

/* A file made from a header text and data; version 1 to 3. */
static ot_status decode(ot_tensor **out, int version, const char *dict, const void *data, size_t n)
{
    uint8_t file[512] = "\x93NUMPY";
    size_t len = strlen(dict), start = version == 1 ? 10 : 12;
    file[6] = (uint8_t)version;
    file[8] = (uint8_t)len;
    memcpy(file + start, dict, len);
    memcpy(file + start + len, data, n);
    return ot_npy_decode(out, file, start + len + n);
}

static void orders(void)
{
    ot_tensor *t;
    static const uint8_t big[] = { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0xff, 0xff };
    CHECK_OK(decode(&t, 2, "{'shape': (2, 3), 'descr': '>i2', 'fortran_order': True}", big, sizeof(big)));
    static const int16_t want[] = { 1, 3, 5, 2, 4, -1 };
    CHECK(t && t->rank == 2 && memcmp(t->data, want, sizeof(want)) == 0);
    ot_tensor_free(t);
    static const uint8_t three[24] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                       12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 };
    CHECK_OK(decode(&t, 3, "{'descr': '|u1', 'fortran_order': True, 'shape': (2,3L,4), }  \n", three, 24));
    for (int64_t i = 0; t && i < 2; i++)
        for (int64_t j = 0; j < 3; j++)
            for (int64_t k = 0; k < 4; k++)
                CHECK(ot_tensor_get(t, (i * 3 + j) * 4 + k) == (double)(i + 2 * j + 6 * k));
    ot_tensor_free(t);
    CHECK_OK(decode(&t, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\0\x07", 2));
    CHECK(t && memcmp(t->data, "\0\1", 2) == 0);
    ot_tensor_free(t);
    CHECK_OK(decode(&t, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7)}", "", 0));
    ot_tensor_free(t);
}

static void hostile(void)
{
    ot_tensor *t;
    static const struct {
        const char *dict, *words;
    } rows[] = {
        { "", "no dict" },
        { "{", "damaged" },
        { "{'descr': '<f4'", "damaged" },
        { "{'descr': '<f4', 'fortran_order': False}", "lacks" },
        { "{'descr': '<f4', 'descr': '<f4'}", "unexpected" },
        { "{'x': 1}", "unexpected" },
        { "{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", "'<U4'" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "'|O'" },
        { "{'descr': '<f44444444444444', 'fortran_order': False, 'shape': (1,)}", "not supported" },
        { "{'descr': '', 'fortran_order': False, 'shape': (1,)}", "not supported" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "no simple" },
        { "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "neither" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': 1}", "tuple" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "no number" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1", "no number" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1)}", "more than" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 999999999)}", "out of range" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000000000,)}", "no number" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000,)}", "takes 8000000 bytes" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "takes 4 bytes" },
    };
    int64_t before = ot_live_blocks();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_FAILS(decode(&t, 1, rows[i].dict, "12345", 5), OT_EDATA, rows[i].words);
    CHECK_FAILS(ot_npy_decode(&t, (const uint8_t *)"\x93NUMPY\1\0\xff\xff{}", 12), OT_EDATA, "header of 65535");
    CHECK_FAILS(ot_npy_decode(&t, (const uint8_t *)"\x93NUMPY\4\0\2\0{}", 12), OT_EDATA, "version 4");
    CHECK_FAILS(ot_npy_decode(&t, (const uint8_t *)"PK", 2), OT_EDATA, "no .npy");
    CHECK(ot_live_blocks() == before);
}

static void cut_short(void)
{
    ot_tensor *a, *b;
    uint8_t *bytes;
    size_t n;
    snprintf(path, sizeof(path), "%s", test_tmp("c.npy"));
    CHECK_OK(ot_tensor_create(&a, OT_FLOAT, 2, (int64_t[]){ 2, 2 }));
    CHECK_OK(ot_npy_write(path, a));
    CHECK_OK(ot_file_read(&bytes, &n, path, 1000));
    CHECK(n == 128 + 16);
    for (size_t k = 0; k < n; k++)
        CHECK(ot_npy_decode(&b, bytes, k) == OT_EDATA && !b);
    ot_free(bytes);
    ot_tensor_free(a);
}

const ot_test npy_tests[] = { { "round trips", round_trips }, { "converted types", converted_types },
                              { "orders", orders },           { "hostile", hostile },
                              { "cut short", cut_short },     { NULL, NULL } };
