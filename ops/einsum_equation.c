#include "einsum.h"

#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int number_of(char c)
{
    return c >= 'a' ? 26 + c - 'a' : c - 'A';
}

static ot_status read_term(ot_term *t, const char **at)
{
    size_t n = 0;
    const char *p = *at;
    *t = (ot_term){ .letters = 0 };
    for (; *p && *p != ',' && *p != '-'; p++) {
        if (*p == ' ')
            continue;
        bool dots = strncmp(p, "...", 3) == 0;
        if ((!dots && !is_letter(*p)) || (dots && t->dots))
            return ot_fail(OT_EMODEL, "the equation has a wrong '%c'", *p);
        if (n + 4 > sizeof(t->text))
            return ot_fail(OT_EUNSUPPORTED, "a term of the equation is longer than %d", (int)sizeof(t->text) - 4);
        memcpy(t->text + n, p, dots ? 3 : 1);
        n += dots ? 3 : 1;
        p += dots ? 2 : 0;
        t->dots |= dots;
        t->letters += !dots;
    }
    *at = p;
    return OT_OK;
}

/* "..." and the letters that are there once, in ASCII's order. */
static ot_status make_output(ot_equation *e)
{
    int count[52] = { 0 };
    ot_term *t = &e->term[e->n];
    size_t n = 0;
    *t = (ot_term){ .letters = 0 };
    for (int i = 0; i < e->n; i++) {
        for (const char *p = e->term[i].text; *p; p++)
            if (is_letter(*p))
                count[number_of(*p)]++;
        t->dots |= e->term[i].dots;
    }
    if (t->dots) {
        memcpy(t->text, "...", 3);
        n = 3;
    }
    for (int i = 0; i < 52; i++)
        if (count[i] == 1) {
            t->text[n++] = (char)(i < 26 ? 'A' + i : 'a' + i - 26);
            t->letters++;
        }
    return OT_OK;
}

ot_status ot_equation_read(ot_equation *e, const char *text)
{
    e->n = 0;
    if (!text || strlen(text) >= OT_EINSUM_TEXT)
        return ot_fail(OT_EMODEL, "the equation is missing or longer than %d", OT_EINSUM_TEXT - 1);
    for (;; text++) {
        if (e->n == OT_EINSUM_TERMS - 1)
            return ot_fail(OT_EUNSUPPORTED, "more than %d operands", OT_EINSUM_TERMS - 1);
        OT_TRY(read_term(&e->term[e->n++], &text));
        if (*text != ',')
            break;
    }
    if (!*text)
        return make_output(e);
    if (text[1] != '>')
        return ot_fail(OT_EMODEL, "the equation has a wrong '-'");
    text += 2;
    OT_TRY(read_term(&e->term[e->n], &text));
    return *text ? ot_fail(OT_EMODEL, "the equation goes on behind its output with '%c'", *text) : OT_OK;
}

/* The letters left and right of the dots, which take what is left of the rank. */
static void label_term(int *label, const ot_term *t, int rank)
{
    int k = 0, dots = rank - t->letters;
    for (const char *p = t->text; *p; p++) {
        if (*p != '.') {
            label[k++] = number_of(*p);
            continue;
        }
        for (int d = dots - 1; d >= 0; d--)
            label[k++] = 52 + d;
        p += 2;
    }
}

ot_status ot_equation_label(ot_term_labels *l, const ot_equation *e, const int *rank, bool like)
{
    bool seen[OT_EINSUM_LABELS] = { 0 }, out[OT_EINSUM_LABELS] = { 0 };
    int widest = 0;
    l->n = e->n;
    for (int i = 0; i <= e->n; i++) {
        const ot_term *t = &e->term[i];
        l->rank[i] = i < e->n || like ? rank[i] : t->letters + (t->dots ? widest : 0);
        if (l->rank[i] > OT_MAX_RANK)
            return ot_fail(OT_EUNSUPPORTED, "rank %d; the most is %d", l->rank[i], OT_MAX_RANK);
        if (t->dots ? l->rank[i] < t->letters : l->rank[i] != t->letters)
            return ot_fail(OT_ESHAPE, "rank %d for the term '%s'", l->rank[i], t->text);
        label_term(l->label[i], t, l->rank[i]);
        widest = t->dots && l->rank[i] - t->letters > widest ? l->rank[i] - t->letters : widest;
        for (int d = 0; d < l->rank[i]; d++) {
            int v = l->label[i][d];
            if (i == e->n && !like && (!seen[v] || out[v]))
                return ot_fail(OT_EMODEL, "a label of the output '%s' is %s", t->text,
                               out[v] ? "there twice" : "in no operand");
            if (i == e->n)
                out[v] = true;
            seen[v] = true;
        }
    }
    return OT_OK;
}
