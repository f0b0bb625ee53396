/* All ways through the steps at once, a character at a time. */
#include "regex_steps.h"
#include "utf8.h"

#include <string.h>

/* Steps that are to be tried at a place, each once. */
typedef struct states {
    int32_t n, *list;
    uint8_t *met;
} states;

static bool is_word(int32_t c)
{
    return (c >= '0' && c <= '9') || c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

#define NOTHING (-1000) /* before the text and behind it */

static bool is_at(place_kind kind, int32_t before, int32_t next)
{
    switch (kind) {
    case AT_START:
        return before == NOTHING;
    case AT_END:
        return next == NOTHING;
    case AT_LINE_START:
        return before == NOTHING || before == '\n';
    case AT_LINE_END:
        return next == NOTHING || next == '\n';
    default:
        return (is_word(before) != is_word(next)) == (kind == AT_WORD_EDGE);
    }
}

/* What is reached from step i without a character; todo: room for a stack. */
static void reach(const ot_regex *r, states *s, int32_t i, int32_t before, int32_t next, int32_t *todo)
{
    int32_t n = 0;
    todo[n++] = i;
    while (n > 0) {
        i = todo[--n];
        const step *k = &r->step[i];
        if (s->met[i])
            continue;
        s->met[i] = 1;
        if (k->kind == STEP_SET || k->kind == STEP_END)
            s->list[s->n++] = i;
        if (k->kind == STEP_AT && is_at((place_kind)k->a, before, next))
            todo[n++] = i + 1;
        if (k->kind == STEP_FORK)
            todo[n++] = i + k->b;
        if (k->kind == STEP_FORK || k->kind == STEP_JUMP)
            todo[n++] = i + k->a;
    }
}

static bool holds(const ot_regex *r, const step *k, int32_t c)
{
    bool inside = false;
    for (int i = 0; i < k->b && !inside; i++)
        inside = c >= r->set[k->a + i].from && c <= r->set[k->a + i].to;
    return c >= 0 && inside != k->negative;
}

size_t ot_regex_room(const ot_regex *r)
{
    return (size_t)r->n_step * (4 * sizeof(int32_t) + 2);
}

static int32_t character(const char *text, size_t n, size_t at, size_t *length)
{
    *length = 0;
    return at < n ? ot_utf8_decode((const unsigned char *)text + at, n - at, length) : NOTHING;
}

bool ot_regex_matches(const ot_regex *r, const char *text, size_t n, void *room)
{
    const size_t steps = (size_t)r->n_step;
    int32_t *todo = room; /* each step is put there twice at most */
    states now = { 0, todo + 2 * steps, NULL }, then = { 0, now.list + steps, NULL };
    now.met = (uint8_t *)(then.list + steps);
    then.met = now.met + steps;
    memset(now.met, 0, steps);
    size_t at = 0, length, ahead;
    int32_t c = character(text, n, 0, &length);
    reach(r, &now, 0, NOTHING, c, todo);
    while (c != NOTHING && now.n > 0) {
        const int32_t next = character(text, n, at + length, &ahead);
        then.n = 0;
        memset(then.met, 0, steps);
        for (int32_t i = 0; i < now.n; i++)
            if (r->step[now.list[i]].kind == STEP_SET && holds(r, &r->step[now.list[i]], c))
                reach(r, &then, now.list[i] + 1, c, next, todo);
        const states other = now;
        now = then;
        then = other;
        at += length;
        length = ahead;
        c = next;
    }
    return c == NOTHING && now.n > 0 && now.met[steps - 1];
}
