#include "op_rig.h"
#include "op_table.h"

#include <stdio.h>
#include <string.h>

#define GUARD 64

/* ---- Kernels one by one --------------------------------------------------------------------------------------------
 */

typedef struct guarded {
    ot_tensor t;
    char *bytes;
} guarded;

static bool guarded_open(guarded *p, const ot_fact *f)
{
    size_t n;
    p->t = (ot_tensor){ .dtype = f->dtype, .rank = f->rank };
    memcpy(p->t.dim, f->dim, sizeof(p->t.dim));
    if (ot_bytes(&n, f->dtype, f->rank, f->dim) != OT_OK || !(p->bytes = ot_malloc(n + 2 * GUARD, 1)))
        return false;
    memset(p->bytes, 0xFF, n + 2 * GUARD);
    p->t.data = p->bytes + GUARD;
    return true;
}

static bool guarded_intact(const guarded *p)
{
    size_t n = ot_tensor_bytes(&p->t);
    for (size_t i = 0; i < GUARD; i++)
        if ((uint8_t)p->bytes[i] != 0xFF || (uint8_t)p->bytes[GUARD + n + i] != 0xFF)
            return false;
    return true;
}

/* Runs kernel k of the row's only node by itself; its outputs are compared with those of the executor. */
static void run_kernel(op_rig *r, const ot_kernel *k, const ot_tensor *const *want, double tol)
{
    const ot_node *n = r->g->node[0];
    ot_kernel only[2] = { *k, { 0 } };
    ot_op op = *n->op;
    ot_node node = *n;
    ot_arena arena = { 0 };
    ot_step s = { 0 };
    guarded y[OP_MAX_OUT] = { 0 };
    const ot_fact *x_fact[OP_MAX_IN] = { 0 }, *y_fact[OP_MAX_OUT] = { 0 };
    const ot_tensor *constant[OP_MAX_IN] = { 0 };
    op.cpu = only;
    node.op = &op;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != OT_NONE) {
            x_fact[i] = &r->g->value[n->in[i]].fact;
            constant[i] = r->row->in[i].constant ? &r->x[i] : NULL;
        }
    for (int i = 0; i < n->n_out; i++)
        y_fact[i] = n->out[i] == OT_NONE ? NULL : &r->g->value[n->out[i]].fact;
    ot_status st = ot_step_prepare(&s, &arena, &node, x_fact, y_fact, constant, NULL, NULL, 1);
    if (st == OT_OK) {
        char what[80];
        void *scratch = ot_malloc(s.scratch + 1, 1);
        memset(scratch, 0xFF, s.scratch + 1);
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] != OT_NONE)
                s.x[i].data = n->op->shape_only >> i & 1 ? NULL : r->x[i].data;
        for (int i = 0; i < n->n_out; i++)
            if (y_fact[i] && CHECK(guarded_open(&y[i], y_fact[i])))
                s.y[i].data = y[i].t.data;
        snprintf(what, sizeof(what), "kernel '%s'", k->name);
        op_say(r->row, ot_step_run(&s, scratch, NULL) == OT_OK, "%s: %s", what, ot_last_error());
        for (int i = 0; i < n->n_out; i++)
            if (y_fact[i]) {
                op_say(r->row, guarded_intact(&y[i]), "%s writes outside of output %d", what, i);
                if (want[i])
                    op_check_close(r->row, want[i], &y[i].t, tol, what);
            }
        ot_free(scratch);
        for (int i = 0; i < n->n_out; i++)
            ot_free(y[i].bytes);
    } else {
        op_say(r->row, k->declines != NULL, "kernel '%s': %s", k->name, ot_last_error());
    }
    ot_step_release(&s);
    ot_arena_release(&arena);
}

static bool is_concrete(const ot_fact *f)
{
    for (int i = 0; i < f->rank; i++)
        if (ot_is_symbol(f->dim[i]))
            return false;
    return f->kind == OT_TENSOR && f->rank >= 0 && f->dtype != OT_STRING;
}

static void run_kernels(const op_case *row, ot_dtype real, const ot_tensor *const *want, double tol)
{
    op_rig r;
    bool plain =
        CHECK_OK(op_rig_open(&r, row, real, 1, false, false)) && r.g->n_node == 1 && r.g->node[0]->n_in == r.n_in;
    for (int i = 0; plain && i < r.g->node[0]->n_out; i++)
        plain = r.out[i] == OT_NONE || is_concrete(&r.g->value[r.out[i]].fact);
    for (int i = 0; plain && i < r.n_in; i++)
        plain = r.in[i] == r.g->node[0]->in[i];
    for (const ot_kernel *k = plain ? r.g->node[0]->op->cpu : NULL; k && k->name; k++)
        run_kernel(&r, k, want, tol);
    op_rig_close(&r);
}

/* ---- Values */

static void check_want(const op_case *row, const ot_tensor *y)
{
    bool ok = true;
    if (row->want_rank) {
        ok = y->rank == row->want_rank - 1;
        for (int i = 0; ok && i < y->rank; i++)
            ok = y->dim[i] == row->want_dim[i];
        op_say(row, ok, "output 0 is %s, wanted is %s", OT_DIMS(y->rank, y->dim),
               OT_DIMS(row->want_rank - 1, row->want_dim));
    }
    for (int64_t i = 0, n = ot_tensor_count(y); ok && row->want && i < n; i++)
        ok = op_say(row, test_close(row->want[i], ot_tensor_get(y, i), 1e-6, 1e-6),
                    "element %lld is %.9g, wanted is %.9g", (long long)i, ot_tensor_get(y, i), row->want[i]);
    for (int64_t i = 0, n = ot_tensor_count(y); ok && row->want_text && i < n; i++) {
        const ot_str *s = (const ot_str *)y->data + i;
        ok = op_say(row, s->n == strlen(row->want_text[i]) && memcmp(s->bytes, row->want_text[i], s->n) == 0,
                    "element %lld is '%.*s', wanted is '%s'", (long long)i, (int)s->n, s->bytes ? s->bytes : "",
                    row->want_text[i]);
    }
}

static void check_values(const op_case *row)
{
    op_rig one, three, exact, open;
    double tol = row->tolerance > 0 ? row->tolerance : 2e-6;
    const ot_tensor *want[OP_MAX_OUT] = { 0 };
    bool ok = op_rig_forward(&one, row, OT_FLOAT, 1, false);
    ok &= op_rig_forward(&three, row, OT_FLOAT, 3, false);
    ok &= op_rig_forward(&exact, row, OT_DOUBLE, 1, false);
    if (ok)
        check_want(row, ot_executor_output(exact.e, 0));
    for (int i = 0, at = 0; ok && i < exact.n_out; i++) {
        if (row->skip_out[i])
            continue;
        want[i] = ot_executor_output(exact.e, at);
        op_check_same_bits(row, ot_executor_output(one.e, at), ot_executor_output(three.e, at), "3 threads");
        if (want[i]->dtype == OT_STRING)
            op_check_same_bits(row, ot_executor_output(one.e, at), want[i], "double");
        else if (!row->random)
            op_check_close(row, want[i], ot_executor_output(one.e, at), tol, "float32");
        at++;
    }
    if (ok && !row->no_symbols) {
        ok = op_rig_forward(&open, row, OT_DOUBLE, 1, true);
        for (int i = 0, at = 0; ok && i < open.n_out; i++)
            if (!row->skip_out[i])
                op_check_same_bits(row, ot_executor_output(exact.e, at), ot_executor_output(open.e, at), "symbols"),
                    at++;
        op_rig_close(&open);
    }
    if (ok && !row->random) {
        run_kernels(row, OT_FLOAT, want, tol);
        run_kernels(row, OT_DOUBLE, want, 1e-12);
    }
    op_rig_close(&one);
    op_rig_close(&three);
    op_rig_close(&exact);
}

/* ---- The table -----------------------------------------------------------------------------------------------------
 */

static void check_failure(const op_case *row)
{
    op_rig r;
    ot_status st = op_rig_open(&r, row, OT_FLOAT, 1, false, false);
    if (st == OT_OK)
        st = op_rig_outputs(&r);
    if (st == OT_OK)
        st = op_rig_start(&r);
    if (st == OT_OK)
        st = ot_executor_run(r.e, r.feed);
    if (op_say(row, st != OT_OK, "no failure; wanted is '%s'", row->fails))
        op_say(row, strstr(ot_last_error(), row->fails) != NULL, "error '%s', wanted is '%s'", ot_last_error(),
               row->fails);
    op_rig_close(&r);
}

void op_cases_run(const op_case *rows)
{
    for (const op_case *row = rows; row->op; row++) {
        int64_t before = ot_live_blocks();
        if (row->fails) {
            check_failure(row);
        } else {
            check_values(row);
            op_check_gradients(row);
            op_table_note_row(row);
        }
        op_say(row, ot_live_blocks() == before, "%lld blocks leak", (long long)(ot_live_blocks() - before));
    }
}
