#include "regex_steps.h"
#include "utf8.h"

#include <string.h>

#define MOST_STEPS  10000
#define MOST_DEPTH  200
#define MOST_REPEAT 1000
#define LAST        0x10ffff

/* ---- Reading the pattern --------------------------------------------------------------------------------------- */

typedef struct flags {
    bool fold, multi, dot_all;
} flags;

typedef struct reader {
    ot_regex *r;
    const char *pattern, *at, *end;
    flags f;
    int depth;
    int64_t read; /* atoms so far, copies of repeats among them */
} reader;

static ot_status bad(const reader *p, const char *what)
{
    return ot_fail(OT_EMODEL, "%s at byte %d of the pattern '%.200s'", what, (int)(p->at - p->pattern), p->pattern);
}

static ot_status emit(reader *p, int64_t at, step s)
{
    ot_regex *r = p->r;
    if (r->n_step >= MOST_STEPS)
        return ot_fail(OT_EUNSUPPORTED, "the pattern '%.200s' comes to more than %d steps", p->pattern, MOST_STEPS);
    OT_TRY(ot_grow(&r->step, r->n_step, &r->cap_step, sizeof(*r->step)));
    memmove(r->step + at + 1, r->step + at, (size_t)(r->n_step - at) * sizeof(*r->step));
    r->step[at] = s;
    r->n_step++;
    return OT_OK;
}

static ot_status append(reader *p, step s)
{
    return emit(p, p->r->n_step, s);
}

static ot_status add_range(reader *p, int32_t from, int32_t to)
{
    ot_regex *r = p->r;
    if (r->n_set >= 8 * MOST_STEPS)
        return ot_fail(OT_EUNSUPPORTED, "the pattern '%.200s' names too many characters", p->pattern);
    OT_TRY(ot_grow(&r->set, r->n_set, &r->cap_set, sizeof(*r->set)));
    r->set[r->n_set++] = (range){ from, to };
    return OT_OK;
}

/* A range as (?i) widens it: letters of either case, and the two beyond ASCII that are one of them. */
static ot_status add_folded(reader *p, int32_t from, int32_t to)
{
    OT_TRY(add_range(p, from, to));
    if (!p->f.fold)
        return OT_OK;
    if (to > 127 && !(from == 0 && to == LAST))
        return ot_fail(OT_EUNSUPPORTED, "(?i) beside characters beyond ASCII, in the pattern '%.200s'", p->pattern);
    for (int32_t c = from; c <= to && c < 128; c++) {
        const int32_t low = c | 32;
        if (low < 'a' || low > 'z' || c < 'A')
            continue;
        OT_TRY(add_range(p, c ^ 32, c ^ 32));
        if (low == 'k' || low == 's')
            OT_TRY(add_range(p, low == 'k' ? 0x212a : 0x17f, low == 'k' ? 0x212a : 0x17f));
    }
    return OT_OK;
}

/* The ranges since `first` as one step. */
static ot_status end_set(reader *p, int64_t first, bool negative)
{
    return append(p, (step){ STEP_SET, negative, (int)first, (int)(p->r->n_set - first) });
}

static ot_status one_character(reader *p, int32_t c)
{
    const int64_t first = p->r->n_set;
    OT_TRY(add_folded(p, c, c));
    return end_set(p, first, false);
}

static bool looking_at(const reader *p, const char *text)
{
    const size_t n = strlen(text);
    return (size_t)(p->end - p->at) >= n && memcmp(p->at, text, n) == 0;
}

static ot_status next_character(reader *p, int32_t *c)
{
    size_t n;
    if (p->at == p->end)
        return bad(p, "the pattern ends too early");
    *c = ot_utf8_decode((const unsigned char *)p->at, (size_t)(p->end - p->at), &n);
    if (*c < 0)
        return bad(p, "bytes that are no UTF-8");
    p->at += n;
    return OT_OK;
}

/* ---- Sets ------------------------------------------------------------------------------------------------------ */

/* Named sets as pairs of ends. */
static const struct {
    const char *name, *ends;
} named[] = {
    { "alnum", "09AZaz" }, { "alpha", "AZaz" }, { "ascii", "" },        { "blank", "\t\t  " },  { "cntrl", "" },
    { "digit", "09" },     { "graph", "!~" },   { "lower", "az" },      { "print", " ~" },      { "punct", "!/:@[`{~" },
    { "space", "\t\r  " }, { "upper", "AZ" },   { "word", "09AZaz__" }, { "xdigit", "09AFaf" },
};
static const char digits[] = "09", spaces[] = "\t\n\f\r  ", words[] = "09AZ__az";

/* Pairs in rising order, or what lies between them. */
static ot_status add_ends(reader *p, const char *ends, bool negative)
{
    int32_t from = 0;
    for (; *ends; ends += 2) {
        if (!negative)
            OT_TRY(add_folded(p, ends[0], ends[1]));
        else if (ends[0] > from)
            OT_TRY(add_range(p, from, ends[0] - 1));
        from = ends[1] + 1;
    }
    return negative ? add_range(p, from, LAST) : OT_OK;
}

/* \d and its kin; *there: it was one. */
static ot_status take_class(reader *p, bool *there)
{
    const char c = p->end - p->at > 1 && *p->at == '\\' ? p->at[1] : 0, low = (char)(c | 32);
    *there = low == 'd' || low == 's' || low == 'w';
    if (!*there || c == 0)
        return OT_OK;
    p->at += 2;
    return add_ends(p, low == 'd' ? digits : low == 's' ? spaces : words, c != low);
}

/* [:alpha:] and its kin, in a set. */
static ot_status take_named(reader *p, bool *there)
{
    *there = looking_at(p, "[:");
    if (!*there)
        return OT_OK;
    const bool negative = looking_at(p, "[:^");
    const char *name = p->at + (negative ? 3 : 2), *close = name;
    while (close < p->end && *close != ':')
        close++;
    if (p->end - close < 2 || close[1] != ']') {
        *there = false; /* just a bracket */
        return OT_OK;
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (strlen(named[i].name) != (size_t)(close - name) || memcmp(named[i].name, name, (size_t)(close - name)) != 0)
            continue;
        p->at = close + 2;
        if (strcmp(named[i].name, "ascii") == 0)
            return negative ? add_range(p, 128, LAST) : add_range(p, 0, 127);
        if (strcmp(named[i].name, "cntrl") == 0 && negative) {
            OT_TRY(add_range(p, 32, 126));
            return add_range(p, 128, LAST);
        }
        if (strcmp(named[i].name, "cntrl") == 0) {
            OT_TRY(add_range(p, 0, 31));
            return add_range(p, 127, 127);
        }
        return add_ends(p, named[i].ends, negative);
    }
    return bad(p, "an unknown set");
}

static int digit_of(char c, int base)
{
    const int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
    return d < base ? d : -1;
}

static ot_status take_hex(reader *p, int32_t *c)
{
    const bool braces = p->at < p->end && *p->at == '{';
    int n = 0;
    *c = 0;
    for (p->at += braces; p->at < p->end && digit_of(*p->at, 16) >= 0 && (braces ? *c <= LAST : n < 2); n++)
        *c = *c * 16 + digit_of(*p->at++, 16);
    if (n == 0 || (!braces && n < 2) || *c > LAST || (braces && (p->at == p->end || *p->at++ != '}')))
        return bad(p, "a bad number of a character");
    return OT_OK;
}

/* A character after a backslash. */
static ot_status take_escape(reader *p, int32_t *c)
{
    static const char letters[] = "aftnrv", codes[] = "\a\f\t\n\r\v";
    OT_TRY(next_character(p, c));
    const char *letter = *c < 128 ? strchr(letters, *c) : NULL;
    if (*c == 'x')
        return take_hex(p, c);
    if (letter && *letter) {
        *c = codes[letter - letters];
        return OT_OK;
    }
    const bool more = p->at < p->end && digit_of(*p->at, 8) >= 0;
    if (*c == '0' || (*c >= '1' && *c <= '7' && more)) {
        *c -= '0';
        for (int n = 0; n < 2 && p->at < p->end && digit_of(*p->at, 8) >= 0; n++)
            *c = *c * 8 + digit_of(*p->at++, 8);
        return OT_OK;
    }
    if (*c == 'p' || *c == 'P' || *c == 'C')
        return ot_fail(OT_EUNSUPPORTED, "\\%c in the pattern '%.200s'", (char)*c, p->pattern);
    const bool alnum = (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z');
    return *c < 128 && !alnum ? OT_OK : bad(p, "an unknown escape");
}

static ot_status set_character(reader *p, int32_t *c)
{
    OT_TRY(next_character(p, c));
    return *c == '\\' ? take_escape(p, c) : OT_OK;
}

/* Behind its bracket. */
static ot_status take_set(reader *p)
{
    const int64_t first = p->r->n_set;
    const bool negative = p->at < p->end && *p->at == '^';
    p->at += negative;
    for (bool start = true; start || p->at == p->end || *p->at != ']'; start = false) {
        bool there;
        int32_t from, to;
        OT_TRY(take_class(p, &there));
        if (!there)
            OT_TRY(take_named(p, &there));
        if (there)
            continue;
        OT_TRY(set_character(p, &from));
        to = from;
        if (p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            OT_TRY(set_character(p, &to));
        }
        if (to < from)
            return bad(p, "a range that ends before it begins");
        OT_TRY(add_folded(p, from, to));
    }
    p->at++;
    return end_set(p, first, negative);
}

/* ---- Groups, repeats, alternatives ----------------------------------------------------------------------------- */

static ot_status take_alternatives(reader *p);

/* Behind "(?": flags, a name, or neither; *group: what follows is a group to its bracket. */
static ot_status take_group_kind(reader *p, bool *group)
{
    bool off = false;
    *group = true;
    if (looking_at(p, "P<") || looking_at(p, "<")) {
        const char *name = p->at + 1 + (*p->at == 'P'), *end = name;
        while (end < p->end && *end != '>' &&
               (digit_of(*end, 10) >= 0 || *end == '_' || ((*end | 32) >= 'a' && (*end | 32) <= 'z')))
            end++;
        if (end == p->end || end == name || *end != '>')
            return bad(p, "a bad name of a group");
        p->at = end + 1;
        return OT_OK;
    }
    for (; p->at < p->end; p->at++)
        switch (*p->at) {
        case 'i':
            p->f.fold = !off;
            break;
        case 'm':
            p->f.multi = !off;
            break;
        case 's':
            p->f.dot_all = !off;
            break;
        case 'U': /* which of several matches: all are whole here */
            break;
        case '-':
            if (off)
                return bad(p, "two signs");
            off = true;
            break;
        case ':':
        case ')':
            *group = *p->at++ == ':';
            return OT_OK;
        default:
            return bad(p, "an unknown kind of group");
        }
    return bad(p, "the pattern ends too early");
}

static ot_status take_group(reader *p)
{
    const flags before = p->f;
    bool group = true;
    if (p->at < p->end && *p->at == '?') {
        p->at++;
        OT_TRY(take_group_kind(p, &group));
        if (!group) /* the flags hold to the end of the group around */
            return OT_OK;
    }
    if (++p->depth > MOST_DEPTH)
        return ot_fail(OT_EUNSUPPORTED, "groups lie at a depth of more than %d", MOST_DEPTH);
    OT_TRY(take_alternatives(p));
    p->depth--;
    if (p->at == p->end)
        return bad(p, "a group that does not end");
    p->at++;
    p->f = before;
    return OT_OK;
}

static ot_status take_place(reader *p, place_kind kind)
{
    return append(p, (step){ .kind = STEP_AT, .a = (int)kind });
}

static ot_status take_quoted(reader *p)
{
    while (p->at < p->end && !looking_at(p, "\\E")) {
        int32_t c;
        OT_TRY(next_character(p, &c));
        OT_TRY(one_character(p, c));
    }
    p->at += p->at < p->end ? 2 : 0;
    return OT_OK;
}

static ot_status take_backslash(reader *p)
{
    const int64_t first = p->r->n_set;
    bool there;
    int32_t c;
    OT_TRY(take_class(p, &there));
    if (there)
        return end_set(p, first, false);
    p->at++;
    const char kind = p->at < p->end ? *p->at : 0;
    if (kind == 'A' || kind == 'z' || kind == 'b' || kind == 'B') {
        p->at++;
        return take_place(p, kind == 'A'   ? AT_START
                             : kind == 'z' ? AT_END
                             : kind == 'b' ? AT_WORD_EDGE
                                           : AT_NO_WORD_EDGE);
    }
    OT_TRY(take_escape(p, &c));
    return one_character(p, c);
}

/* What a repeat may stand behind. */
static ot_status take_atom(reader *p)
{
    const int64_t first = p->r->n_set;
    int32_t c;
    if (++p->read > 2 * MOST_STEPS) /* groups of nothing make no steps */
        return ot_fail(OT_EUNSUPPORTED, "the pattern '%.200s' repeats more than %d times", p->pattern, 2 * MOST_STEPS);
    if (*p->at == '\\')
        return take_backslash(p);
    OT_TRY(next_character(p, &c));
    switch (c) {
    case '(':
        return take_group(p);
    case '[':
        return take_set(p);
    case '.':
        OT_TRY(add_range(p, '\n', p->f.dot_all ? '\t' : '\n')); /* from more than to: none */
        return end_set(p, first, true);
    case '^':
        return take_place(p, p->f.multi ? AT_LINE_START : AT_START);
    case '$':
        return take_place(p, p->f.multi ? AT_LINE_END : AT_END);
    case '*':
    case '+':
    case '?':
        return bad(p, "a repeat of nothing");
    default:
        return one_character(p, c);
    }
}

static int number_at(const char **s, const char *end)
{
    int n = -1;
    for (; *s < end && digit_of(**s, 10) >= 0; ++*s)
        n = n < 0 ? digit_of(**s, 10) : n > MOST_REPEAT ? n : n * 10 + digit_of(**s, 10);
    return n;
}

/* A repeat at this place: its bounds, most -1: none; *n bytes, 0 where there is none.  Braces that say none are
 * characters. */
static void repeat_at(const reader *p, int *least, int *most, int *n)
{
    const char *s = p->at;
    *n = 0;
    if (s == p->end)
        return;
    if (*s == '*' || *s == '+' || *s == '?') {
        *least = *s == '+';
        *most = *s == '?' ? 1 : -1;
        *n = 1;
    } else if (*s == '{') {
        s++;
        *least = *most = number_at(&s, p->end);
        if (s < p->end && *s == ',') {
            s++;
            *most = number_at(&s, p->end);
        }
        *n = *least >= 0 && s < p->end && *s == '}' ? (int)(s + 1 - p->at) : 0;
    }
}

/* The steps from `from` on, which are one atom, as `? * +`. */
static ot_status optional(reader *p, int64_t from, bool again)
{
    const int n = (int)(p->r->n_step - from);
    OT_TRY(emit(p, from, (step){ .kind = STEP_FORK, .a = 1, .b = n + 1 + again }));
    return again ? append(p, (step){ .kind = STEP_JUMP, .a = -(n + 1) }) : OT_OK;
}

/* The atom was read from `text` with flags f; more copies are made by reading it again. */
static ot_status take_repeat(reader *p, const char *text, flags f, int64_t from, int least, int most)
{
    const char *behind = p->at;
    const flags after = p->f;
    if (least > MOST_REPEAT || most > MOST_REPEAT || (most >= 0 && most < least))
        return bad(p, "a bad number of repeats");
    if (least == 0 && most == 0) { /* never: around it */
        const int n = (int)(p->r->n_step - from);
        return emit(p, from, (step){ .kind = STEP_JUMP, .a = n + 1 });
    }
    if (least == 0)
        OT_TRY(optional(p, from, most < 0));
    for (int have = 1; have < (most < 0 ? least : most); have++) {
        from = p->r->n_step;
        p->at = text;
        p->f = f;
        OT_TRY(take_atom(p));
        if (have >= least)
            OT_TRY(optional(p, from, false));
    }
    if (most < 0 && least > 0) /* the last one again and again */
        OT_TRY(append(p, (step){ .kind = STEP_FORK, .a = (int)(from - p->r->n_step), .b = 1 }));
    p->at = behind;
    p->f = after;
    return OT_OK;
}

static ot_status take_sequence(reader *p)
{
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        int least, most, n;
        if (looking_at(p, "\\Q")) {
            p->at += 2;
            OT_TRY(take_quoted(p));
            repeat_at(p, &least, &most, &n);
            if (n)
                return ot_fail(OT_EUNSUPPORTED, "a repeat behind \\Q..\\E in the pattern '%.200s'", p->pattern);
            continue;
        }
        const char *text = p->at;
        const flags f = p->f;
        const int64_t from = p->r->n_step;
        OT_TRY(take_atom(p));
        const bool only_flags = p->r->n_step == from && text[0] == '(' && text[1] == '?' && p->at[-1] == ')' &&
                                !memchr(text, ':', (size_t)(p->at - text)) &&
                                !memchr(text, '<', (size_t)(p->at - text));
        repeat_at(p, &least, &most, &n);
        if (n && only_flags)
            return bad(p, "a repeat of nothing");
        if (!n)
            continue;
        p->at += n;
        if (p->at < p->end && *p->at == '?') /* which of several matches: all are whole here */
            p->at++;
        OT_TRY(take_repeat(p, text, f, from, least, most));
        repeat_at(p, &least, &most, &n);
        if (n)
            return bad(p, "a repeat of a repeat");
    }
    return OT_OK;
}

static ot_status take_alternatives(reader *p)
{
    const int64_t from = p->r->n_step;
    OT_TRY(take_sequence(p));
    while (p->at < p->end && *p->at == '|') {
        const int n = (int)(p->r->n_step - from);
        p->at++;
        OT_TRY(emit(p, from, (step){ .kind = STEP_FORK, .a = 1, .b = n + 2 }));
        const int64_t jump = p->r->n_step;
        OT_TRY(append(p, (step){ .kind = STEP_JUMP }));
        OT_TRY(take_sequence(p));
        p->r->step[jump].a = (int)(p->r->n_step - jump);
    }
    return OT_OK;
}

ot_status ot_regex_create(ot_regex **out, const char *pattern)
{
    reader p = { .pattern = pattern, .at = pattern, .end = pattern + strlen(pattern) };
    *out = p.r = ot_calloc(1, sizeof(*p.r));
    if (!p.r)
        return OT_ENOMEM;
    ot_status st = take_alternatives(&p);
    if (st == OT_OK && p.at < p.end)
        st = bad(&p, "a bracket that closes nothing");
    if (st == OT_OK)
        st = append(&p, (step){ .kind = STEP_END });
    if (st == OT_OK)
        return OT_OK;
    ot_regex_close(p.r);
    *out = NULL;
    return st;
}

void ot_regex_close(ot_regex *r)
{
    if (r) {
        ot_free(r->step);
        ot_free(r->set);
    }
    ot_free(r);
}
