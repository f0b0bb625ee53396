/* Values that are no tensors, in files: sequences, optionals, maps. */
#define _DEFAULT_SOURCE
#include "harness.h"
#include "wire_data.h"
#include "base/alloc.h"
#include "base/tensor.h"
#include "model/model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_tensor(const ot_tensor *a, const ot_tensor *b)
{
    if (!a || !b)
        return a == b;
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dim[i] == b->dim[i];
    for (int64_t i = 0; same && a->dtype == OT_STRING && i < ot_tensor_count(a); i++) {
        const ot_str *s = (const ot_str *)a->data + i, *t = (const ot_str *)b->data + i;
        same = s->n == t->n && memcmp(s->bytes, t->bytes, s->n) == 0;
    }
    return same && (a->dtype == OT_STRING || memcmp(a->data, b->data, ot_tensor_bytes(a)) == 0);
}

static bool same_item(const ot_item *a, const ot_item *b)
{
    bool same = a->kind == b->kind && a->n == b->n && a->holds == b->holds && same_tensor(a->tensor, b->tensor) &&
                same_tensor(a->keys, b->keys);
    for (int64_t i = 0; same && i < a->n; i++)
        same = same_item(&a->item[i], &b->item[i]);
    return same;
}

static bool round_trip(const ot_item *v)
{
    ot_item *back = NULL;
    char path[512];
    snprintf(path, sizeof(path), "%s", test_tmp("item.pb"));
    bool ok = CHECK_OK(ot_item_file_write(path, v)) && CHECK_OK(ot_item_file_read(&back, path, v->kind)) &&
              CHECK(same_item(v, back));
    ot_item_free(back);
    return ok;
}

/* ---- ONNX's own files ---------------------------------------------------------------------------------------- */

static ot_kind kind_of(const Onnx__TypeProto *t)
{
    return !t                                                       ? OT_TENSOR
           : t->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE ? OT_SEQUENCE
           : t->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE ? OT_OPTIONAL
           : t->value_case == ONNX__TYPE_PROTO__VALUE_MAP_TYPE      ? OT_MAP
                                                                    : OT_TENSOR;
}

/* The files of a case whose values are no tensors. */
static int64_t read_case(const char *dir, size_t n, Onnx__ValueInfoProto *const *value, const char *word)
{
    int64_t read = 0;
    for (size_t i = 0; i < n; i++) {
        char path[1200];
        ot_item *v = NULL;
        ot_kind kind = kind_of(value[i]->type);
        snprintf(path, sizeof(path), "%s/test_data_set_0/%s_%zu.pb", dir, word, i);
        if (kind == OT_TENSOR)
            continue;
        if (CHECK_OK(ot_item_file_read(&v, path, kind)) && round_trip(v))
            read++;
        else
            printf("    %s\n", path);
        ot_item_free(v);
    }
    return read;
}

static void conformance_files(void)
{
    const char *root = getenv("ONNXTUNE_CONFORMANCE");
    char path[1100];
    int64_t read = 0, before = ot_live_blocks();
    snprintf(path, sizeof(path), "%s/node", root ? root : "");
    DIR *d = root ? opendir(path) : NULL;
    if (!d) {
        test_skip("ONNXTUNE_CONFORMANCE is not set");
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        ot_model *m;
        snprintf(path, sizeof(path), "%s/node/%s/model.onnx", root, e->d_name);
        if (e->d_name[0] == '.' || !CHECK_OK(ot_model_open(&m, path)))
            continue;
        snprintf(path, sizeof(path), "%s/node/%s", root, e->d_name);
        read += read_case(path, m->proto->graph->n_input, m->proto->graph->input, "input");
        read += read_case(path, m->proto->graph->n_output, m->proto->graph->output, "output");
        ot_model_close(m);
    }
    closedir(d);
    if (!CHECK(read > 40))
        printf("    %lld values\n", (long long)read);
    CHECK(ot_live_blocks() == before);
}

/* ---- Made by hand -------------------------------------------------------------------------------------------- */

static void nested(void)
{
    float data[400] = { 1, 2, 3 };
    int64_t numbers[2] = { -5, INT64_MAX };
    ot_str words[2] = { { "a\0b", 3 }, { "", 0 } };
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 1, .dim = { 3 }, .data = data };
    ot_tensor big = { .dtype = OT_FLOAT, .rank = 2, .dim = { 20, 20 }, .data = data }; /* cut out when read */
    ot_tensor text = { .dtype = OT_STRING, .rank = 1, .dim = { 2 }, .data = words };
    ot_tensor int_keys = { .dtype = OT_INT64, .rank = 1, .dim = { 2 }, .data = numbers };
    ot_item leaves[2] = { { .kind = OT_TENSOR, .tensor = &t }, { .kind = OT_TENSOR, .tensor = &big } };
    ot_item string_leaves[2] = { { .kind = OT_TENSOR, .tensor = &text }, { .kind = OT_TENSOR, .tensor = &text } };
    ot_item maps[2] = { { .kind = OT_MAP, .keys = &int_keys, .n = 2, .item = leaves },
                        { .kind = OT_MAP, .keys = &text, .n = 2, .item = string_leaves } };
    ot_item list = { .kind = OT_SEQUENCE, .n = 2, .item = maps, .holds = OT_MAP };
    ot_item some = { .kind = OT_OPTIONAL, .n = 1, .item = &list, .holds = OT_SEQUENCE };
    ot_item none = { .kind = OT_OPTIONAL, .holds = OT_OPTIONAL }, empty = { .kind = OT_SEQUENCE };
    ot_item plain = { .kind = OT_TENSOR, .tensor = &big };
    CHECK(round_trip(&some) && round_trip(&none) && round_trip(&empty) && round_trip(&plain));
    ot_item mixed[2] = { leaves[0], none };
    ot_item bad = { .kind = OT_SEQUENCE, .n = 2, .item = mixed };
    CHECK_FAILS(ot_item_file_write(test_tmp("bad.pb"), &bad), OT_EARG, "item 1 is of kind 2, the others of kind 0");
    bad = (ot_item){ .kind = OT_MAP, .keys = &t, .n = 2, .item = leaves };
    CHECK_FAILS(ot_item_file_write(test_tmp("bad.pb"), &bad), OT_EARG, "a map of 2 items has keys of float [3]");
    bad = (ot_item){ .kind = OT_TENSOR };
    CHECK_FAILS(ot_item_file_write(test_tmp("bad.pb"), &bad), OT_EARG, "no tensor");
    ot_item deep[40];
    for (int i = 0; i < 40; i++)
        deep[i] = (ot_item){ .kind = OT_SEQUENCE, .n = i < 39, .item = &deep[i + (i < 39)], .holds = OT_SEQUENCE };
    CHECK_FAILS(ot_item_file_write(test_tmp("bad.pb"), &deep[0]), OT_EARG, "nested deeper than 32");
    CHECK(round_trip(&deep[8]));
}

static void refuse(const wire_data *w, ot_kind kind, const char *words)
{
    ot_item *v;
    char path[512];
    snprintf(path, sizeof(path), "%s", test_tmp("refused.pb"));
    CHECK_OK(ot_file_write(path, w->bytes, w->n));
    CHECK_FAILS(ot_item_file_read(&v, path, kind), OT_EDATA, words);
    CHECK(v == NULL);
}

static void refusals(void)
{
    static wire_data w, t, s, wrap;
    int64_t before = ot_live_blocks();
    t.n = w.n = s.n = 0;
    wire_int(&t, 1, 2);
    wire_int(&t, 2, OT_FLOAT);
    wire_int(&w, 2, 1);
    wire_nest(&w, 3, &t);
    refuse(&w, OT_SEQUENCE, "item 0: tensor '': 0 values, but [2] of float takes 2");
    w.n = 0;
    wire_int(&w, 2, 3);
    wire_nest(&w, 3, &t);
    refuse(&w, OT_SEQUENCE, "1 items of kind 1 in a sequence of kind 3");
    w.n = 0;
    wire_int(&w, 2, 9);
    refuse(&w, OT_SEQUENCE, "element kind 9 is not known");
    refuse(&w, OT_OPTIONAL, "element kind 9 is not known");
    w.n = 0;
    wire_int(&w, 2, 4);
    wire_nest(&w, 3, &t);
    refuse(&w, OT_OPTIONAL, "an optional of kind 4 holds one of kind 1");
    w.n = 0;
    wire_int(&w, 2, OT_INT8);
    wire_int(&w, 3, 300);
    refuse(&w, OT_MAP, "key 0 is 300, which is no int8");
    w.n = 0;
    wire_int(&w, 2, OT_INT64);
    wire_int(&w, 3, 300);
    refuse(&w, OT_MAP, "1 keys have 0 values");
    w.n = 0;
    wire_int(&w, 2, OT_FLOAT);
    refuse(&w, OT_MAP, "keys of element type 1");
    w.n = 0;
    wire_int(&w, 2, OT_STRING);
    wire_int(&w, 3, 1);
    refuse(&w, OT_MAP, "in the field for another type");
    for (int i = 0; i < 100; i++) {
        wrap.n = 0;
        wire_int(&wrap, 2, 3);
        wire_nest(&wrap, 5, &s);
        s = wrap;
    }
    refuse(&s, OT_SEQUENCE, "nested deeper than 64");
    CHECK(ot_live_blocks() == before);
}

static void out_of_memory(void)
{
    float data[2] = { 1, 2 };
    ot_str word = { "key", 3 };
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .data = data };
    ot_tensor key = { .dtype = OT_STRING, .rank = 1, .dim = { 1 }, .data = &word };
    ot_item leaf = { .kind = OT_TENSOR, .tensor = &t }, map = { .kind = OT_MAP, .keys = &key, .n = 1, .item = &leaf };
    ot_item some = { .kind = OT_OPTIONAL, .n = 1, .item = &map, .holds = OT_MAP };
    char path[512];
    int64_t before = ot_live_blocks();
    snprintf(path, sizeof(path), "%s", test_tmp("oom.pb"));
    for (int64_t k = 0;; k++) {
        ot_item *v = NULL;
        ot_fail_alloc_after(k);
        ot_status st = ot_item_file_write(path, &some);
        if (st == OT_OK)
            st = ot_item_file_read(&v, path, OT_OPTIONAL);
        ot_fail_alloc_after(-1);
        ot_item_free(v);
        if (!CHECK(ot_live_blocks() == before) || st == OT_OK || !CHECK(st == OT_ENOMEM))
            break;
    }
}

const ot_test item_tests[] = { { "files of the conformance data", conformance_files },
                               { "nested values", nested },
                               { "refusals", refusals },
                               { "out of memory", out_of_memory },
                               { 0 } };
