/* Text as a data set: characters, vocabularies, batches, what models say of the text that they read. */
#include "harness.h"
#include "net.h"
#include "text_file.h"
#include "base/alloc.h"
#include "data/utf8.h"
#include "data/vocabulary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void utf8(void)
{
    static const struct {
        const char *bytes;
        uint32_t code;
        size_t n;
    } row[] = {
        { "a", 'a', 1 },
        { "\xC3\xA4", 0xE4, 2 },
        { "\xE2\x82\xAC", 0x20AC, 3 },
        { "\xF0\x9F\x98\x80", 0x1F600, 4 },
        { "\xC0\x80", 0, 0 },         /* too long a form */
        { "\xE0\x80\x80", 0, 0 },     /* likewise */
        { "\xED\xA0\x80", 0, 0 },     /* half a pair */
        { "\xF4\x90\x80\x80", 0, 0 }, /* behind the last one */
        { "\xFF", 0, 0 },
        { "\x80", 0, 0 },
        { "\xC3", 0, 0 }, /* cut off */
        { "\xC3(", 0, 0 },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        uint32_t c = 0;
        char back[4];
        CHECK(ot_utf8_decode(&c, (const uint8_t *)row[i].bytes, strlen(row[i].bytes)) == row[i].n);
        if (row[i].n)
            CHECK(c == row[i].code && ot_utf8_encode(back, c) == row[i].n && memcmp(back, row[i].bytes, row[i].n) == 0);
    }
    uint32_t c;
    CHECK(ot_utf8_decode(&c, (const uint8_t *)"", 0) == 0);
    CHECK(ot_utf8_lower('Q') == 'q' && ot_utf8_lower('[') == '[' && ot_utf8_lower(0xC4) == 0xE4);
    CHECK(ot_utf8_lower(0xD7) == 0xD7 && ot_utf8_lower(0x391) == 0x3B1 && ot_utf8_lower(0x416) == 0x436);
    CHECK(ot_utf8_lower(0x100) == 0x101 && ot_utf8_lower(0x179) == 0x17A && ot_utf8_lower(0x178) == 0xFF);
    CHECK(ot_utf8_lower(0x401) == 0x451 && ot_utf8_lower(0x4E00) == 0x4E00);
}

static void vocabulary(void)
{
    static const uint32_t text[] = { 'b', 'a', 'b', 'c', 'a', 'b', 0xE4 };
    ot_vocabulary v;
    char *json;
    if (CHECK_OK(ot_vocabulary_make(&v, text, 7, 1))) {
        CHECK(v.n == 5 && v.unk == -1 && strcmp(v.names->name[0], "<pad>") == 0);
        CHECK(ot_vocabulary_find(&v, 'a') == 1 && ot_vocabulary_find(&v, 0xE4) == 4);
        CHECK(ot_vocabulary_find(&v, 'z') == -1);
        ot_vocabulary_release(&v);
    }
    if (CHECK_OK(ot_vocabulary_make(&v, text, 7, 2))) {
        CHECK(v.n == 4 && v.unk == 0 && strcmp(v.names->name[1], "<pad>") == 0);
        CHECK(ot_vocabulary_find(&v, 'b') == 3 && ot_vocabulary_find(&v, 'c') == 0);
        CHECK_OK(ot_vocabulary_text(&json, &v));
        CHECK(strcmp(json, "[\"<unk>\", \"<pad>\", \"a\", \"b\"]") == 0);
        ot_text_free(json);
        ot_vocabulary_release(&v);
    }
    CHECK_FAILS(ot_vocabulary_make(&v, text, 7, 4), OT_EDATA, "4 times");
    CHECK_FAILS(ot_vocabulary_parse(&v, "{}"), OT_EDATA, "'['");
    CHECK_FAILS(ot_vocabulary_parse(&v, "[]"), OT_EDATA, "no characters");
    CHECK_FAILS(ot_vocabulary_parse(&v, "[\"<unk>\"]"), OT_EDATA, "no characters");
    CHECK_FAILS(ot_vocabulary_parse(&v, "[\"a\", \"b\", \"a\"]"), OT_EDATA, "U+0061 twice");
    if (CHECK_OK(ot_vocabulary_parse(&v, "[\"b\", \"word\", \"<unk>\", \"\\n\", \"\"]"))) {
        CHECK(v.n == 5 && v.unk == 2 && ot_vocabulary_find(&v, '\n') == 3 && ot_vocabulary_find(&v, 'w') == 2);
        ot_vocabulary_release(&v);
    }
}

static ot_text_options stream(void)
{
    ot_text_options o = OT_TEXT_INIT;
    o.stream = o.each = true;
    return o;
}

static ot_loader *open_loader(const ot_dataset *d, int split, int64_t batch, bool shuffle)
{
    ot_loader_options lo = OT_LOADER_INIT;
    ot_loader *l = NULL;
    lo.split = split;
    lo.batch = batch;
    lo.shuffle = shuffle;
    CHECK_OK(ot_loader_create(&l, d, &lo));
    return l;
}

/* A text whose i-th character is known: the alphabet over and over. */
static char alphabet(int64_t i)
{
    return (char)('a' + i % 26);
}

static ot_dataset *open_alphabet(int64_t n, const ot_text_options *o)
{
    ot_dataset *d = NULL;
    char *text = ot_calloc((size_t)n + 1, 1);
    for (int64_t i = 0; i < n; i++)
        text[i] = alphabet(i);
    CHECK_OK(ot_text_open(&d, text_file("alphabet", text, (size_t)n), o));
    ot_free(text);
    return d;
}

/* Each row goes on where it ended, and each label is the character that follows. */
static void streams(void)
{
    ot_text_options o = stream();
    o.valid_fraction = 0.25;
    ot_dataset *d = open_alphabet(8000, &o);
    if (!d)
        return;
    CHECK(d->classes == 27 && d->count[OT_TRAIN] == 5999 && d->count[OT_VALID] == 1999);
    ot_loader *l = open_loader(d, OT_TRAIN, 4, true);
    const int64_t length = 6000 / 4;
    CHECK(ot_loader_batches(l) == length / 8 - 1);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        int64_t at = 0, lengths[64] = { 0 }, batches = 0;
        ot_batch b;
        CHECK_OK(ot_loader_start(l, epoch, 0));
        bool last = false;
        while (CHECK_OK(ot_loader_next(l, &b)) && b.n) {
            CHECK(!last && b.n == 4 && b.rows == 4 * b.steps && b.steps >= 1 && b.steps < 64 && !b.samples);
            CHECK(b.steps >= 5 || b.last);
            bool right = true;
            for (int64_t t = 0; t < b.steps; t++)
                for (int64_t r = 0; r < 4; r++) {
                    right &= b.tokens[t * 4 + r] == 1 + (r * length + at + t) % 26;
                    right &= b.labels[t * 4 + r] == 1 + (r * length + at + t + 1) % 26;
                }
            CHECK(right);
            lengths[b.steps]++;
            at += b.steps;
            batches++;
            last = b.last;
        }
        CHECK(last && at < length && (at == length - 1 || batches == length / 8 - 1));
        CHECK(lengths[5] > batches / 5 && lengths[8] > 2 && lengths[12] > 2);
    }
    ot_loader_close(l);
    l = open_loader(d, OT_VALID, 4, false); /* whole, in steps of bptt */
    int64_t seen = 0;
    ot_batch b;
    CHECK_OK(ot_loader_start(l, 0, 0));
    while (CHECK_OK(ot_loader_next(l, &b)) && b.n) {
        CHECK(b.steps == 8 || b.last);
        seen += b.steps;
    }
    CHECK(seen == 2000 / 4 - 1);
    ot_loader_close(l);
    ot_dataset_close(d);
}

/* Started in the middle it gives what follows there. */
static void resumes(void)
{
    ot_text_options o = stream();
    ot_dataset *d = open_alphabet(3000, &o);
    ot_loader *l = d ? open_loader(d, OT_TRAIN, 2, true) : NULL;
    int64_t steps[40], first[40];
    ot_batch b;
    if (!l)
        return;
    CHECK_OK(ot_loader_start(l, 5, 0));
    for (int i = 0; i < 40; i++) {
        CHECK_OK(ot_loader_next(l, &b));
        steps[i] = b.steps;
        first[i] = b.tokens[0];
    }
    for (int i = 39; i >= 0; i -= 7) {
        CHECK_OK(ot_loader_start(l, 5, i));
        CHECK_OK(ot_loader_next(l, &b));
        CHECK(b.steps == steps[i] && b.tokens[0] == first[i]);
    }
    CHECK_FAILS(ot_loader_start(l, 0, 100000), OT_EARG, "batch 100000");
    ot_loader_close(l);
    ot_dataset_close(d);
}

static void check_windows(const ot_dataset *d, int split, int64_t batch, bool shuffle, int64_t n)
{
    ot_loader *l = open_loader(d, split, batch, shuffle);
    ot_batch b;
    int64_t total = 0;
    if (!l)
        return;
    CHECK_OK(ot_loader_start(l, 3, 0));
    while (CHECK_OK(ot_loader_next(l, &b)) && b.n) {
        CHECK(b.n == batch || b.last);
        CHECK(b.rows == (d->each ? b.n * 5 : b.n) && b.steps == 5);
        for (int64_t r = 0; r < b.n; r++) {
            bool right = true;
            for (int64_t t = 0; t + 1 < 5; t++) {
                int64_t at = d->batch_first ? r * 5 + t : t * b.n + r, next = d->batch_first ? at + 1 : at + b.n;
                right &= b.tokens[next] == 1 + b.tokens[at] % 26 && (!d->each || b.labels[at] == b.tokens[next]);
            }
            int64_t last = d->batch_first ? r * 5 + 4 : 4 * b.n + r;
            right &= b.labels[d->each ? last : r] == 1 + b.tokens[last] % 26;
            CHECK(right);
        }
        total += b.n;
    }
    CHECK(total == n);
    ot_loader_close(l);
}

static void windows(void)
{
    for (int each = 0; each < 2; each++)
        for (int rows = 0; rows < 2; rows++) {
            ot_text_options o = OT_TEXT_INIT;
            o.steps = 5;
            o.each = each;
            o.batch_first = rows;
            ot_dataset *d = open_alphabet(1006, &o);
            if (!d)
                return;
            int64_t all = each ? 200 : 1000, valid = all / 5; /* 1006 - 5 - 1 places, or every fifth */
            CHECK(d->count[OT_VALID] == valid && d->count[OT_TRAIN] == all - valid);
            check_windows(d, OT_TRAIN, 32, true, all - valid);
            check_windows(d, OT_VALID, 32, false, valid);
            ot_dataset_close(d);
        }
}

/* A file of its own validates; lower case; rare characters. */
static void options(void)
{
    ot_text_options o = stream();
    ot_dataset *d;
    char valid[512];
    snprintf(valid, sizeof(valid), "%s", text_file("valid", "AbcQ", 4));
    o.valid = valid;
    o.lower = true;
    o.min_count = 2;
    if (CHECK_OK(ot_text_open(&d,
                              text_file("train",
                                        "\xEF\xBB\xBF"
                                        "AaBbCc\xC3\x84\xC3\xA4x",
                                        14),
                              &o))) {
        CHECK(d->classes == 6 && d->count[OT_TRAIN] == 8 && d->count[OT_VALID] == 3);
        CHECK(strcmp(d->class_names[0], "<unk>") == 0 && strcmp(d->class_names[5], "\xC3\xA4") == 0);
        ot_loader *l = open_loader(d, OT_VALID, 1, false);
        ot_batch b;
        CHECK_OK(ot_loader_start(l, 0, 0));
        CHECK_OK(ot_loader_next(l, &b));
        CHECK(b.steps == 3 && b.tokens[0] == 2 && b.labels[2] == 0);
        ot_loader_close(l);
        ot_dataset_close(d);
    }
    o.vocabulary = "[\"a\", \"b\"]";
    CHECK_FAILS(ot_text_open(&d, text_file("train", "abz", 3), &o), OT_EDATA, "character 2 is 'z' (U+007A)");
    o.vocabulary = "nonsense";
    CHECK_FAILS(ot_text_open(&d, text_file("train", "abz", 3), &o), OT_EDATA, "json");
}

static void refused(void)
{
    ot_text_options o = stream(), bad;
    ot_dataset *d;
    ot_loader *l;
    ot_loader_options lo = OT_LOADER_INIT;
    CHECK_FAILS(ot_text_open(&d, "nosuch.txt", &o), OT_EIO, "nosuch.txt");
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "", 0), &o), OT_EDATA, "the text is empty");
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "\xEF\xBB\xBF", 3), &o), OT_EDATA, "the text is empty");
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "x", 1), &o), OT_EDATA, "1 characters to train on");
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "ab\xFFz", 4), &o), OT_EDATA, "byte 2 (0xff) is no text");
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "a\0b", 3), &o), OT_EDATA, "byte 1 (0x00)");
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "ab\xC3", 3), &o), OT_EDATA, "byte 2 (0xc3)");
    bad = o;
    bad.min_count = 0;
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "abc", 3), &bad), OT_EARG, "min_count 0");
    bad = o;
    bad.valid_fraction = 1;
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "abc", 3), &bad), OT_EARG, "share of 1");
    bad = (ot_text_options)OT_TEXT_INIT;
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "abc", 3), &bad), OT_EARG, "windows of 0");
    bad.steps = 8;
    CHECK_FAILS(ot_text_open(&d, text_file("bad", "abcdefghi", 9), &bad), OT_EDATA, "at least 10");
    o.valid_fraction = 0;
    if (CHECK_OK(ot_text_open(&d, text_file("bad", "abcdefgh", 8), &o))) {
        lo.batch = 5;
        CHECK_FAILS(ot_loader_create(&l, d, &lo), OT_EDATA, "8 characters in 5 rows are 1 a row");
        lo.batch = 4;
        if (CHECK_OK(ot_loader_create(&l, d, &lo)))
            CHECK(ot_loader_batches(l) == 1);
        ot_loader_close(l);
        lo.split = OT_VALID;
        CHECK_FAILS(ot_loader_create(&l, d, &lo), OT_EDATA, "0 characters in 4 rows");
        ot_dataset_close(d);
    }
}

static ot_text_options of_net(const char *name)
{
    ot_text_options o = OT_TEXT_INIT;
    ot_new_options no = OT_NEW_INIT;
    ot_model *m;
    no.hidden = 4;
    if (CHECK_OK(ot_model_new(&m, name, &no)))
        CHECK_OK(ot_text_options_from_model(&o, m));
    ot_model_close(m);
    return o;
}

static void models(void)
{
    ot_text_options o = of_net("char3");
    CHECK(!o.stream && !o.each && o.steps == 3);
    o = of_net("char-sequence");
    CHECK(!o.stream && o.each && o.steps == 8);
    o = of_net("char-cell");
    CHECK(o.stream && o.each && o.steps == 8);
    o = of_net("char-lstm");
    CHECK(o.stream && o.each && o.steps == 0 && !o.vocabulary);
    ot_new_options no = OT_NEW_INIT;
    ot_model *m;
    no.hidden = 4;
    CHECK_OK(ot_model_new(&m, "char-gru", &no));
    CHECK_OK(ot_model_set_metadata(m, "onnxtune.text", "{\"lower\": true, \"later\": [1, {}], \"batch_first\":false}"));
    CHECK_OK(ot_model_set_metadata(m, "onnxtune.vocab", "[\"a\"]"));
    CHECK_OK(ot_text_options_from_model(&o, m));
    CHECK(o.lower && !o.batch_first && strcmp(o.vocabulary, "[\"a\"]") == 0);
    static const char *const broken[] = { "", "{", "{\"lower\": 1}", "{\"lower\": true", "{\"lower\" true}", "{} x" };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        CHECK_OK(ot_model_set_metadata(m, "onnxtune.text", broken[i]));
        CHECK_FAILS(ot_text_options_from_model(&o, m), OT_EDATA, "onnxtune.text");
    }
    ot_model_close(m);
}

static void out_of_memory(void)
{
    ot_text_options o = OT_TEXT_INIT;
    char path[512];
    o.steps = 5;
    snprintf(path, sizeof(path), "%s", text_file("alphabet", "abcdefghijklmnopq", 17));
    const int64_t live = ot_live_blocks();
    for (int64_t n = 0;; n++) {
        ot_dataset *d = NULL;
        ot_loader *l = NULL;
        ot_loader_options lo = OT_LOADER_INIT;
        ot_fail_alloc_after(n);
        ot_status st = ot_text_open(&d, path, &o);
        if (st == OT_OK)
            st = ot_loader_create(&l, d, &lo);
        ot_fail_alloc_after(-1);
        ot_loader_close(l);
        ot_dataset_close(d);
        if (!CHECK(st == OT_OK || st == OT_ENOMEM) || st == OT_OK)
            break;
    }
    CHECK(ot_live_blocks() == live);
}

const ot_test text_tests[] = { { "utf8", utf8 },
                               { "vocabulary", vocabulary },
                               { "streams", streams },
                               { "resumes", resumes },
                               { "windows", windows },
                               { "options", options },
                               { "refused", refused },
                               { "models", models },
                               { "out of memory", out_of_memory },
                               { 0 } };
