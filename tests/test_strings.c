/* Operators on strings, and TfIdfVectorizer. */
#include "op_case.h"

#define TEXTS(...)                                                                                                     \
    {                                                                                                                  \
        OP_DIMS(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)), OP_TEXT(__VA_ARGS__)                   \
    }

static const op_case concat_rows[] = {
    { .op = "StringConcat", .in = { TEXTS("a", "", "cd"), TEXTS("x", "y", "") }, OP_WANT_TEXT("ax", "y", "cd") },
    { .op = "StringConcat",
      .in = { { OP_DIMS(2, 1), OP_TEXT("a", "b") }, TEXTS("x", "y") },
      OP_WANT_DIM(2, 2),
      OP_WANT_TEXT("ax", "ay", "bx", "by") },
    { .op = "StringConcat", .in = { { .rank = 0, OP_TEXT("a") }, { .rank = 0, OP_TEXT("b") } }, OP_WANT_TEXT("ab") },
    { .op = "StringConcat", .in = { { OP_DIMS(0, 2), .dtype = OT_STRING }, TEXTS("x", "y") }, OP_WANT_DIM(0, 2) },
    { .op = "StringConcat", .in = { TEXTS("a"), OP_F(1) }, .fails = "input 1 is float" },
    { 0 },
};

#define BY(d) OT_TEXT("delimiter", d)

static const op_case split_rows[] = {
    { .op = "StringSplit",
      .n_out = 2,
      .in = { TEXTS("  a  b\tc ", "d", " ") },
      OP_WANT_DIM(3, 3),
      OP_WANT_TEXT("a", "b", "c", "d", "", "", "", "", "") },
    { .op = "StringSplit",
      .n_out = 2,
      .attrs = OT_ATTRS(BY("--")),
      .in = { TEXTS("a--b----c", "", "-") },
      OP_WANT_TEXT("a", "b", "", "c", "", "", "", "", "-", "", "", "") },
    { .op = "StringSplit",
      .n_out = 2,
      .attrs = OT_ATTRS(BY(","), OT_INT("maxsplit", 1)),
      .in = { TEXTS("a,b,c", "d") },
      OP_WANT_TEXT("a", "b,c", "d", "") },
    { .op = "StringSplit",
      .n_out = 2,
      .attrs = OT_ATTRS(OT_INT("maxsplit", 1)),
      .in = { TEXTS(" a  b c ") },
      OP_WANT_TEXT("a", "b c ") },
    { .op = "StringSplit",
      .n_out = 2,
      .in = { TEXTS("a\xc2\xa0"
                    "b\xe3\x80\x80") },
      OP_WANT_TEXT("a", "b") },
    { .op = "StringSplit", .n_out = 2, .in = { { OP_DIMS(2, 0), .dtype = OT_STRING } }, OP_WANT_DIM(2, 0, 0) },
    { .op = "StringSplit", .n_out = 2, .in = { OP_F(1) }, .fails = "input 0 is float" },
    { 0 },
};

#define LIST(key, ...)                                                                                                 \
    OT_INTS(key, ((const int64_t[]){ __VA_ARGS__ }), (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))
#define GRAMS(mode, lo, hi, skips)                                                                                     \
    OT_TEXT("mode", mode), OT_INT("min_gram_length", lo), OT_INT("max_gram_length", hi), OT_INT("max_skip_count", skips)
#define POOL LIST("pool_int64s", 2, 3, 5, 4, 5, 6, 7, 8, 6, 7), LIST("ngram_counts", 0, 4)
#define IDS(t, ...)                                                                                                    \
    {                                                                                                                  \
        .dtype = (t), OP_DIMS(OP_COUNT_(__VA_ARGS__)), OP_VALUES(__VA_ARGS__)                                          \
    }
#define WEIGHTS(...)                                                                                                   \
    {                                                                                                                  \
        .name = "weights", .type = OT_ATTR_FLOATS, .floats = (const float[]){ __VA_ARGS__ },                           \
        .n = (int)(sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float))                                             \
    }

/* 1-grams 2, 3, 5, 4 at columns 0 to 3; 2-grams 5 6, 7 8, 6 7 at 4 to 6. */
static const op_case tfidf_rows[] = {
    { .op = "TfIdfVectorizer",
      .attrs = OT_ATTRS(GRAMS("TF", 1, 2, 0), POOL, LIST("ngram_indexes", 0, 1, 2, 3, 4, 5, 6)),
      .in = { IDS(OT_INT32, 5, 6, 7, 8, 5, 6, 2) },
      OP_WANT(1, 0, 2, 0, 2, 1, 1) },
    { .op = "TfIdfVectorizer",
      .attrs = OT_ATTRS(GRAMS("TF", 2, 2, 3), POOL, LIST("ngram_indexes", 6, 5, 4, 3, 2, 1, 0)),
      .in = { IDS(OT_INT64, 5, 6, 7, 8, 5, 6, 7) }, /* 5 6: 2 at distance 1; 6 7: 2; 7 8: 1 */
      OP_WANT(2, 1, 2, 0, 0, 0, 0) },
    { .op = "TfIdfVectorizer",
      .attrs = OT_ATTRS(GRAMS("IDF", 1, 1, 5), POOL, LIST("ngram_indexes", 0, 1, 2, 3, 4, 5, 6),
                        WEIGHTS(0.5f, 1, 3, 1, 1, 1, 1)),
      .in = { { .dtype = OT_INT64, OP_DIMS(2, 2), OP_VALUES(5, 5, 2, 9) } },
      OP_WANT(0, 0, 3, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0) },
    { .op = "TfIdfVectorizer",
      .attrs = OT_ATTRS(
          GRAMS("TFIDF", 1, 1, 0), LIST("ngram_counts", 0), LIST("ngram_indexes", 1, 0), WEIGHTS(2, 0.5f),
          { .name = "pool_strings", .type = OT_ATTR_STRINGS, .strings = (const char *const[]){ "an", "and" }, .n = 2 }),
      .in = { TEXTS("and", "an", "and", "a") },
      OP_WANT(4, 0.5) },
    { .op = "TfIdfVectorizer",
      .attrs = OT_ATTRS(GRAMS("TF", 1, 2, 0), POOL, LIST("ngram_indexes", 0, 1)),
      .in = { IDS(OT_INT64, 5) },
      .fails = "7 n-grams, but 2 ngram_indexes" },
    { .op = "TfIdfVectorizer",
      .attrs = OT_ATTRS(GRAMS("TF", 1, 2, 0), POOL, LIST("ngram_indexes", 0, 1, 2, 3, 4, 5, 6)),
      .in = { TEXTS("a") },
      .fails = "X is string, the pool has integers" },
    { 0 },
};

#define STOP(...)                                                                                                      \
    {                                                                                                                  \
        .name = "stopwords", .type = OT_ATTR_STRINGS, .strings = (const char *const[]){ __VA_ARGS__ },                 \
        .n = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)                                       \
    }
#define ACTION(a) OT_TEXT("case_change_action", a)
#define EXACT     OT_INT("is_case_sensitive", 1)

static const op_case normalizer_rows[] = {
    { .op = "StringNormalizer", .in = { TEXTS("Ab", "c", "") }, OP_WANT_TEXT("Ab", "c", "") },
    { .op = "StringNormalizer",
      .opset = 10,
      .attrs = OT_ATTRS(STOP("monday", "B"), ACTION("UPPER")),
      .in = { TEXTS("Monday", "tuesday", "b", "MONDAYS") },
      OP_WANT_TEXT("TUESDAY", "MONDAYS") },
    { .op = "StringNormalizer",
      .attrs = OT_ATTRS(STOP("monday"), ACTION("LOWER"), EXACT, OT_TEXT("locale", "tr_TR")),
      .in = { TEXTS("Monday", "monday", "I") },
      OP_WANT_TEXT("monday", "i") },
    { .op = "StringNormalizer", .attrs = OT_ATTRS(STOP("a")), .in = { TEXTS("a", "A") }, OP_WANT_TEXT("") },
    { .op = "StringNormalizer",
      .attrs = OT_ATTRS(STOP("a")),
      .in = { { OP_DIMS(1, 3), OP_TEXT("a", "b", "c") } },
      OP_WANT_DIM(1, 2),
      OP_WANT_TEXT("b", "c") },
    { .op = "StringNormalizer",
      .attrs = OT_ATTRS(STOP("a")),
      .in = { { OP_DIMS(1, 1), OP_TEXT("a") } },
      OP_WANT_DIM(1, 1),
      OP_WANT_TEXT("") },
    /* of 2, 3 and 4 bytes; lengths change; bytes that are no UTF-8 stay */
    { .op = "StringNormalizer",
      .attrs = OT_ATTRS(ACTION("UPPER"), STOP("\xc3\x84")),
      .in = { TEXTS("\xc3\xa4", "\xc3\xa9t\xc3\xa9", "\xc4\xb1", "\xe1\xba\xa1", "\xf0\x90\x90\xa8", "a\xc3",
                    "\xff"
                    "a\xed\xa0",
                    "\xc9\x90", "\xc3\x9f") },
      OP_WANT_TEXT("\xc3\x89T\xc3\x89", "I", "\xe1\xba\xa0", "\xf0\x90\x90\x80", "A\xc3",
                   "\xff"
                   "A\xed\xa0",
                   "\xe2\xb1\xaf", "\xc3\x9f") },
    { .op = "StringNormalizer",
      .attrs = OT_ATTRS(ACTION("LOWER")),
      .in = { TEXTS("\xce\xa9\xd0\x96", "\xc7\x85\xc7\x84") },
      OP_WANT_TEXT("\xcf\x89\xd0\xb6", "\xc7\x86\xc7\x86") },
    { .op = "StringNormalizer", .attrs = OT_ATTRS(ACTION("TITLE")), .in = { TEXTS("a") }, .fails = "'TITLE'" },
    { .op = "StringNormalizer", .in = { { OP_DIMS(2, 1), OP_TEXT("a", "b") } }, .fails = "2 rows" },
    { .op = "StringNormalizer", .in = { OP_F(2) }, .fails = "wanted is string" },
    { 0 },
};

#define PATTERN(p) .attrs = OT_ATTRS(OT_TEXT("pattern", p))
#define MATCH(p, t, yes)                                                                                               \
    {                                                                                                                  \
        .op = "RegexFullMatch", PATTERN(p), .in = { TEXTS(t) }, OP_WANT(yes)                                           \
    }
#define REFUSED(p, words)                                                                                              \
    {                                                                                                                  \
        .op = "RegexFullMatch", PATTERN(p), .in = { TEXTS("a") }, .fails = words                                       \
    }

static const op_case match_rows[] = {
    { .op = "RegexFullMatch",
      .opset = 20,
      PATTERN("(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)"),
      .in = { { OP_DIMS(2, 2),
                OP_TEXT("account@gmail.com", "account@hotmail.com", " b.c-d@yahoo.com,", "@gmail.com.") } },
      OP_WANT(1, 0, 1, 1) },
    { .op = "RegexFullMatch", PATTERN(""), .in = { TEXTS("", "a") }, OP_WANT(1, 0) },
    { .op = "RegexFullMatch", PATTERN("a|bc|"), .in = { TEXTS("a", "bc", "", "abc") }, OP_WANT(1, 1, 1, 0) },
    { .op = "RegexFullMatch",
      PATTERN("(?:a*b+?)?c{2,3}?"),
      .in = { TEXTS("cc", "bccc", "aabbcc", "c", "acc") },
      OP_WANT(1, 1, 1, 0, 0) },
    { .op = "RegexFullMatch",
      PATTERN("(?P<x>a{2}){0,2}(b{0}){3}"),
      .in = { TEXTS("", "aa", "aaa", "aaaa", "b") },
      OP_WANT(1, 1, 0, 1, 0) },
    { .op = "RegexFullMatch",
      PATTERN("[^a-c\\d]"),
      .in = { TEXTS("d", "b", "7", "\xc3\xa9", "\xff", "\xc3") },
      OP_WANT(1, 0, 0, 1, 0, 0) },
    { .op = "RegexFullMatch",
      PATTERN("."),
      .in = { TEXTS("\xc3\xa9", "\n", "ab", "\xf0\x9f\x98\x80") },
      OP_WANT(1, 0, 0, 1) },
    { .op = "RegexFullMatch",
      PATTERN("(?i)[k-m]S(?-i)x"),
      .in = { TEXTS("Ksx", "mSX", "\xe2\x84\xaa\xc5\xbfx") },
      OP_WANT(1, 0, 1) },
    { .op = "RegexFullMatch", PATTERN("(?ms)a$.^b"), .in = { TEXTS("a\nb", "a b") }, OP_WANT(1, 0) },
    { .op = "RegexFullMatch",
      PATTERN("[[:alpha:]_]+[[:^digit:]][]-]"),
      .in = { TEXTS("a_b]", "ab1]", "ab-") },
      OP_WANT(1, 0, 1) },
    { .op = "RegexFullMatch",
      PATTERN("a\\b \\Bc?\\x41\\x{e9}\\101\\Q.*\\E"),
      .in = { TEXTS("a A\xc3\xa9"
                    "A.*",
                    "a cA\xc3\xa9"
                    "A.*") },
      OP_WANT(0, 0) },
    MATCH("a\\b \\x41\\x{e9}\\101\\Q.*\\E\\z",
          "a A\xc3\xa9"
          "A.*",
          1),
    MATCH("(((a*)*)*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 0),
    MATCH("(a|aa)+", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 0),
    MATCH("a{,5}", "a{,5}", 1),
    REFUSED("(a", "a group that does not end"),
    REFUSED("a)", "closes nothing"),
    REFUSED("[a", "ends too early"),
    REFUSED("[b-a]", "ends before it begins"),
    REFUSED("a**", "a repeat of a repeat"),
    REFUSED("*", "a repeat of nothing"),
    REFUSED("a{1001}", "a bad number of repeats"),
    REFUSED("(((a{99}){99}){99})", "more than 10000 steps"),
    REFUSED("(((((){999}){999}){999}){999})", "repeats more than 20000 times"),
    REFUSED("\\1", "an unknown escape"),
    REFUSED("\\pL", "\\p in the pattern"),
    REFUSED("(?i)\xc3\xa9", "(?i) beside"),
    REFUSED("(?z)", "an unknown kind of group"),
    REFUSED("[[:foo:]]", "an unknown set"),
    REFUSED("\xff", "no UTF-8"),
    { .op = "RegexFullMatch", .in = { TEXTS("a") }, .fails = "pattern is missing" },
    { .op = "RegexFullMatch", PATTERN("a"), .in = { OP_F(2) }, .fails = "wanted is string" },
    { 0 },
};

static void match(void)
{
    op_cases_run(match_rows);
}

static void normalizer(void)
{
    op_cases_run(normalizer_rows);
}

static void concat(void)
{
    op_cases_run(concat_rows);
}

static void split(void)
{
    op_cases_run(split_rows);
}

static void tfidf(void)
{
    op_cases_run(tfidf_rows);
}

const ot_test strings_tests[] = { { "concat", concat },         { "split", split }, { "tfidf", tfidf },
                                  { "normalizer", normalizer }, { "match", match }, { 0 } };
