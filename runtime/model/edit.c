#include "model/edit.h"

#include <string.h>

/* A repeated message field of msg: where its count and its array lie. */
typedef struct list {
    size_t *n;
    void *at; /* the field itself, a pointer to an array of pointers */
    ProtobufCMessage **items;
    const ProtobufCMessageDescriptor *type;
} list;

static bool find_list(list *l, ProtobufCMessage *msg, const char *field)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(msg->descriptor, field);
    if (!f || f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE) {
        ot_fail(OT_EARG, "%s has no list of messages '%s'", msg->descriptor->short_name, field);
        return false;
    }
    l->n = (size_t *)(void *)((char *)msg + f->quantifier_offset);
    l->at = (char *)msg + f->offset;
    memcpy(&l->items, l->at, sizeof(l->items)); /* the struct has a pointer of another type here */
    l->type = f->descriptor;
    return true;
}

void *ot_new_message(const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = ot_malloc(1, d->sizeof_message);
    if (m)
        protobuf_c_message_init(d, m);
    return m;
}

void *ot_append(ProtobufCMessage *msg, const char *field)
{
    list l;
    if (!find_list(&l, msg, field))
        return NULL;
    ProtobufCMessage *item = ot_new_message(l.type);
    ProtobufCMessage **grown = item ? ot_realloc(l.items, *l.n + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        ot_free(item);
        return NULL;
    }
    grown[*l.n] = item;
    memcpy(l.at, &grown, sizeof(grown));
    ++*l.n;
    return item;
}

void ot_remove(ProtobufCMessage *msg, const char *field, int64_t i)
{
    list l;
    if (!find_list(&l, msg, field) || i < 0 || (size_t)i >= *l.n)
        return;
    protobuf_c_message_free_unpacked(l.items[i], &ot_proto_alloc);
    memmove(l.items + i, l.items + i + 1, (*l.n - (size_t)i - 1) * sizeof(*l.items));
    if (--*l.n == 0) {
        ot_free(l.items);
        memset(l.at, 0, sizeof(l.items));
    }
}

ot_status ot_set_string(char **field, const char *value)
{
    char *copy = value ? ot_strdup(value) : NULL;
    if (value && !copy)
        return OT_ENOMEM;
    ot_free(*field);
    *field = copy;
    return OT_OK;
}

ot_status ot_append_string(size_t *n, char ***items, const char *value)
{
    char *copy = ot_strdup(value);
    char **grown = copy ? ot_realloc(*items, *n + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        ot_free(copy);
        return OT_ENOMEM;
    }
    grown[(*n)++] = copy;
    *items = grown;
    return OT_OK;
}

void ot_move(ProtobufCMessage *msg, const char *field, int64_t from, int64_t to)
{
    list l;
    if (!find_list(&l, msg, field) || from < 0 || to < 0 || (size_t)from >= *l.n || (size_t)to >= *l.n)
        return;
    ProtobufCMessage *item = l.items[from];
    if (from < to)
        memmove(l.items + from, l.items + from + 1, (size_t)(to - from) * sizeof(*l.items));
    else
        memmove(l.items + to + 1, l.items + to, (size_t)(from - to) * sizeof(*l.items));
    l.items[to] = item;
}
