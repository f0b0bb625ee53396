#include "model/model.h"
#include "model/scan.h"

static void *proto_alloc(void *ctx, size_t n)
{
    (void)ctx;
    return ot_malloc(n, 1);
}

static void proto_free(void *ctx, void *p)
{
    (void)ctx;
    ot_free(p);
}

ProtobufCAllocator ot_proto_alloc = { proto_alloc, proto_free, NULL };

static void *watched_alloc(void *failed, size_t n)
{
    void *p = ot_malloc(n, 1);
    if (!p)
        *(bool *)failed = true;
    return p;
}

static ot_status unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *d, const ot_scan *s)
{
    bool failed = false;
    ProtobufCAllocator watched = { watched_alloc, proto_free, &failed };
    *out = protobuf_c_message_unpack(d, &watched, s->n, s->skeleton);
    if (*out)
        return OT_OK;
    return failed ? OT_ENOMEM : ot_fail(OT_EMODEL, "%s: protobuf-c cannot read it", d->short_name);
}

static ot_status keep_cuts(ot_payload **out, const ot_scan *s, ot_blob *blob)
{
    ot_payload *p = ot_calloc((size_t)s->n_cuts, sizeof(*p));
    if (!p)
        return OT_ENOMEM;
    for (int64_t i = 0; i < s->n_cuts; i++)
        p[i] = (ot_payload){ ot_blob_keep(blob), s->cuts[i].offset, s->cuts[i].n };
    *out = p;
    return OT_OK;
}

ot_status ot_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n,
                    ot_payload **payloads, int64_t *n_payloads, ot_blob *blob)
{
    ot_scan scan;
    *out = NULL;
    OT_TRY(ot_scan_message(&scan, d, bytes, n, payloads != NULL));
    ot_status st = unpack(out, d, &scan);
    if (st == OT_OK && payloads) {
        st = keep_cuts(payloads, &scan, blob);
        if (st == OT_OK) {
            *n_payloads = scan.n_cuts;
        } else {
            protobuf_c_message_free_unpacked(*out, &ot_proto_alloc);
            *out = NULL;
        }
    }
    ot_scan_release(&scan);
    return st;
}

static ot_status check_imports(const Onnx__ModelProto *p)
{
    if (!p->n_opset_import && p->ir_version >= 3)
        return ot_fail(OT_EMODEL, "no opset is imported, which IR version %lld asks for", (long long)p->ir_version);
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *a = p->opset_import[i];
        if (!a->has_version || a->version < 1)
            return ot_fail(OT_EMODEL, "opset import %zu, domain '%s': version %lld", i, ot_text(a->domain),
                           (long long)a->version);
        for (size_t k = 0; k < i; k++)
            if (ot_same_domain(a->domain, p->opset_import[k]->domain))
                return ot_fail(OT_EMODEL, "domain '%s' is imported twice, versions %lld and %lld", ot_text(a->domain),
                               (long long)p->opset_import[k]->version, (long long)a->version);
    }
    return OT_OK;
}

static ot_status check_head(const Onnx__ModelProto *p)
{
    if (!p->has_ir_version || p->ir_version < 1)
        return ot_fail(OT_EMODEL, "no IR version, so this is no ONNX model");
    if (p->ir_version > OT_NEWEST_IR)
        return ot_fail(OT_EUNSUPPORTED, "IR version %lld is newer than %d, the newest that this version knows",
                       (long long)p->ir_version, OT_NEWEST_IR);
    if (!p->graph)
        return ot_fail(OT_EMODEL, "the model has no graph");
    return check_imports(p);
}

/* Takes over the caller's reference to blob, also when it fails.  With `any` nothing is asked of what the model says.
 */
static ot_status open_blob(ot_model **out, ot_blob *blob, const char *path, bool any)
{
    ProtobufCMessage *proto = NULL;
    ot_model *m = ot_calloc(1, sizeof(*m));
    ot_status st = m ? OT_OK : OT_ENOMEM;
    if (st == OT_OK && path && !(m->path = ot_strdup(path)))
        st = OT_ENOMEM;
    if (st == OT_OK)
        st = ot_externals_create(&m->externals);
    if (st == OT_OK)
        st = ot_unpack(&proto, &onnx__model_proto__descriptor, ot_blob_bytes(blob), ot_blob_size(blob), &m->payloads,
                       &m->n_payloads, blob);
    ot_blob_drop(blob);
    if (st == OT_OK) {
        m->proto = (Onnx__ModelProto *)proto;
        m->cap_payloads = m->n_payloads;
        st = any ? OT_OK : check_head(m->proto);
    }
    if (st != OT_OK) {
        ot_model_close(m);
        return st;
    }
    *out = m;
    return OT_OK;
}

ot_status ot_model_open(ot_model **out, const char *path)
{
    ot_blob *blob;
    *out = NULL;
    OT_TRY(ot_blob_map(&blob, path));
    return open_blob(out, blob, path, false);
}

ot_status ot_model_read(ot_model **out, const char *path)
{
    ot_blob *blob;
    *out = NULL;
    OT_TRY(ot_blob_map(&blob, path));
    return open_blob(out, blob, path, true);
}

ot_status ot_model_open_memory(ot_model **out, const void *bytes, size_t n)
{
    ot_blob *blob;
    *out = NULL;
    OT_TRY(ot_blob_copy(&blob, bytes, n));
    return open_blob(out, blob, NULL, false);
}

void ot_model_rest(const ot_model *m)
{
    const ot_blob *last = NULL; /* most payloads lie in one file */
    for (int64_t i = 0; i < m->n_payloads; i++) {
        const ot_blob *b = m->payloads[i].blob;
        if (b && b != last)
            ot_blob_rest(b);
        last = b;
    }
    ot_externals_rest(m->externals);
}

void ot_model_close(ot_model *m)
{
    if (!m)
        return;
    if (m->proto)
        protobuf_c_message_free_unpacked(&m->proto->base, &ot_proto_alloc);
    for (int64_t i = 0; i < m->n_payloads; i++)
        ot_blob_drop(m->payloads[i].blob);
    ot_free(m->payloads);
    ot_externals_close(m->externals);
    ot_free(m->path);
    ot_free(m);
}
