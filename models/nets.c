/* The table of nets, and ot_model_new. */
#include "net.h"

#include <string.h>

/* One line a file of nets. */
static const ot_net_row *const tables[] = { ot_char_nets, ot_cifar_nets };
#define TABLES (sizeof(tables) / sizeof(tables[0]))

#define OPSET 17 /* of what is built: old enough for most runtimes */

const ot_net_info *ot_net_get(int64_t i)
{
    for (size_t t = 0; t < TABLES; t++)
        for (const ot_net_row *r = tables[t]; r->info.name; r++)
            if (i-- == 0)
                return &r->info;
    return NULL;
}

static const ot_net_row *find(const char *name)
{
    for (size_t t = 0; t < TABLES; t++)
        for (const ot_net_row *r = tables[t]; r->info.name; r++)
            if (strcmp(r->info.name, name) == 0)
                return r;
    return NULL;
}

static ot_status in_range(const char *what, int64_t value, int64_t most)
{
    return value >= 0 && value <= most ? OT_OK
                                       : ot_fail(OT_EARG, "%s is %lld, outside of 1..%lld (0: the net's own)", what,
                                                 (long long)value, (long long)most);
}

/* Is `word` in the list "one, two, three"? */
static bool among(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at && *at; at += strcspn(at, ","), at += strspn(at, ", "))
        if (strcspn(at, ",") == n && memcmp(at, word, n) == 0)
            return true;
    return false;
}

/* An option that the net does not have is not passed over in silence. */
static ot_status applies(const ot_net_row *r, const char *what, int64_t value, int64_t own)
{
    return !value || own ? OT_OK : ot_fail(OT_EARG, "'%s' has no option %s", r->info.name, what);
}

static ot_status check(const ot_net_row *r, const ot_new_options *o)
{
    OT_TRY(in_range("classes", o->classes, 1000000));
    OT_TRY(in_range("size", o->size, 16384));
    OT_TRY(in_range("hidden", o->hidden, 65536));
    OT_TRY(in_range("embed", o->embed, 65536));
    OT_TRY(in_range("layers", o->layers, 64));
    OT_TRY(in_range("steps", o->steps, 4096));
    if (!(o->dropout < 1))
        return ot_fail(OT_EARG, "dropout %g is not below 1", o->dropout);
    OT_TRY(applies(r, "classes", o->classes, r->info.classes));
    OT_TRY(applies(r, "size", o->size, r->info.size));
    OT_TRY(applies(r, "steps", o->steps, r->info.steps));
    OT_TRY(applies(r, "embed", o->embed, r->info.embed));
    OT_TRY(applies(r, "hidden", o->hidden, r->info.hidden));
    OT_TRY(applies(r, "layers", o->layers, r->info.layers));
    if (o->dropout > 0 && !(r->info.dropout > 0))
        return ot_fail(OT_EARG, "'%s' has no dropout", r->info.name);
    if (o->init && strcmp(o->init, "default") != 0 && !among(r->info.inits, o->init))
        return ot_fail(OT_EARG, "'%s' has no initialisation '%s': there is default%s%s", r->info.name, o->init,
                       r->info.inits ? ", " : "", r->info.inits ? r->info.inits : "");
    return OT_OK;
}

/* What a row leaves open comes from the row, so that builders see numbers only. */
static ot_new_options settled(const ot_net_info *i, const ot_new_options *o)
{
    ot_new_options s = *o;
    s.classes = o->classes ? o->classes : i->classes;
    s.size = o->size ? o->size : i->size;
    s.hidden = o->hidden ? o->hidden : i->hidden;
    s.embed = o->embed ? o->embed : i->embed;
    s.layers = o->layers ? o->layers : i->layers;
    s.steps = o->steps ? o->steps : i->steps;
    s.dropout = o->dropout >= 0 ? o->dropout : i->dropout;
    if (s.init && strcmp(s.init, "default") == 0)
        s.init = NULL;
    return s;
}

ot_status ot_model_new(ot_model **out, const char *name, const ot_new_options *o)
{
    *out = NULL;
    const ot_net_row *r = find(name);
    if (!r)
        return ot_fail(OT_EARG, "no net is named '%s'", name);
    OT_TRY(check(r, o));
    ot_new_options s = settled(&r->info, o);
    ot_net n = { .o = &s };
    OT_TRY(ot_model_empty(&n.m, OPSET));
    n.st = ot_set_string(&n.m->proto->producer_name, "onnxtune");
    if (n.st == OT_OK)
        n.st = ot_set_string(&n.m->proto->graph->name, name);
    r->build(&n);
    ot_arena_release(&n.names);
    if (n.st == OT_OK)
        *out = n.m;
    else
        ot_model_close(n.m);
    return n.st;
}
