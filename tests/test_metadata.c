#include "harness.h"
#include "base/file.h"
#include "data/json.h"

#include <stdio.h>
#include <string.h>

static void spec_round_trip(void)
{
    ot_image_spec s = { 96, 110, { 103.939f, 116.779f, 1e-7f }, { 1.0f / 3, 255, -2 }, 255, true, true };
    ot_image_spec t = OT_IMAGE_SPEC_INIT;
    char *text;
    if (!CHECK_OK(ot_image_spec_text(&text, &s)))
        return;
    CHECK_OK(ot_image_spec_parse(&t, text));
    CHECK(t.size == 96 && t.resize == 110 && t.range == 255 && t.bgr && t.nhwc);
    CHECK(memcmp(t.mean, s.mean, sizeof(s.mean)) == 0 && memcmp(t.std, s.std, sizeof(s.std)) == 0);
    ot_text_free(text);
}

static void spec_parts(void)
{
    ot_image_spec s = OT_IMAGE_SPEC_INIT;
    CHECK_OK(
        ot_image_spec_parse(&s, " {\"size\": 32 , \"new\": [1, {\"a\": null}, \"x\\\"]\"], \"layout\":\"nhwc\"}\n"));
    CHECK(s.size == 32 && s.resize == 0 && s.nhwc && !s.bgr && s.mean[0] == 0.485f);
    CHECK_OK(ot_image_spec_parse(&s, "{}"));
    static const struct {
        const char *json, *words;
    } rows[] = {
        { "", "'{' at byte 0" },
        { "{\"size\"}", "':' at byte 7" },
        { "{\"size\": \"a\"}", "a number" },
        { "{\"size\": 1.5}", "whole" },
        { "{\"size\": 1e300}", "whole" },
        { "{\"size\": -1}", "whole" },
        { "{\"size\": 0}", "size 0" },
        { "{\"size\": 64, \"resize\": 32}", "crop of 64" },
        { "{\"mean\": [1, 2]}", "three" },
        { "{\"std\": [0, 1, 1]}", "channel 0" },
        { "{\"channels\": \"gbr\"}", "neither rgb nor bgr" },
        { "{\"range\": 1} x", "the end" },
        { "{\"range\": 1", "'}'" },
        { "{\"x\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1", "depth" },
        { "{\"x\": \"\\", "string" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_FAILS(ot_image_spec_parse(&s, rows[i].json), OT_EDATA, rows[i].words);
    CHECK(s.size == 32 && s.mean[0] == 0.485f && s.range == 1); /* nothing of them stays */
}

static void numbers(void)
{
    static const struct {
        const char *text;
        double want;
    } rows[] = { { "0", 0 },
                 { "-0.5", -0.5 },
                 { "1e3", 1000 },
                 { "12.5E-1", 1.25 },
                 { "1e-400", 0 },
                 { "0.000001", 0.000001 },
                 { "123456789012345678901234", 123456789012345678901234.0 },
                 { "0.485", 0.485 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double v = -1;
        ot_json j = { rows[i].text, rows[i].text };
        CHECK_OK(ot_json_number(&j, &v));
        CHECK(test_close(rows[i].want, v, 0, 4e-16) && *j.p == 0);
    }
}

static void labels(void)
{
    static const char *const names[] = { "cat", "", "a \"b\" \\ \n", "\xc3\xa9\xf0\x9f\x90\xb1", "bad \xff\xc3" };
    ot_labels *l;
    char *text;
    int64_t before = ot_live_blocks();
    CHECK_OK(ot_labels_text(&text, names, 5));
    CHECK(strncmp(text, "[\"cat\", \"\", ", 12) == 0);
    if (CHECK_OK(ot_labels_parse(&l, text))) {
        CHECK(l->n == 5);
        for (int i = 0; i < 4; i++)
            CHECK(strcmp(l->name[i], names[i]) == 0);
        CHECK(strcmp(l->name[4], "bad ??") == 0);
    }
    ot_labels_free(l);
    ot_text_free(text);
    CHECK_OK(ot_labels_parse(&l, "[\"\\u00e9\\ud83d\\udc31\\t\"]"));
    CHECK(l && strcmp(l->name[0], "\xc3\xa9\xf0\x9f\x90\xb1\t") == 0);
    ot_labels_free(l);
    CHECK_OK(ot_labels_parse(&l, "[]"));
    CHECK(l && l->n == 0);
    ot_labels_free(l);
    static const char *const bad[] = {
        "", "[", "[1]", "[\"a\"", "[\"a\",]", "[\"\\ud83d\"]", "[\"\\u0000\"]", "[\"a\"]]", "[\"\\q\"]", "[\"\\"
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_FAILS(ot_labels_parse(&l, bad[i]), OT_EDATA, "json");
    CHECK(ot_live_blocks() == before);
}

static void label_files(void)
{
    char path[512];
    ot_labels *l;
    snprintf(path, sizeof(path), "%s", test_tmp("labels.txt"));
    CHECK_OK(ot_file_write(path, "cat\r\n\ndog, big\n\n", 16));
    CHECK_OK(ot_labels_read(&l, path));
    CHECK(l && l->n == 3 && strcmp(l->name[0], "cat") == 0 && !*l->name[1] && strcmp(l->name[2], "dog, big") == 0);
    ot_labels_free(l);
    CHECK_OK(ot_file_write(path, " [\"a\", \"b\"]\n", 12));
    CHECK_OK(ot_labels_read(&l, path));
    CHECK(l && l->n == 2);
    ot_labels_free(l);
    CHECK_OK(ot_file_write(path, "a\0b", 3));
    CHECK_FAILS(ot_labels_read(&l, path), OT_EDATA, "zero byte");
}

const ot_test metadata_tests[] = { { "spec round trip", spec_round_trip },
                                   { "spec parts", spec_parts },
                                   { "numbers", numbers },
                                   { "labels", labels },
                                   { "label files", label_files },
                                   { NULL, NULL } };
