/* The table of operators.  No constructors and no run-time registration: what is listed is there. */
#include "op.h"
#include "kernels/kernels.h"

#include <string.h>

#define OT_OP(id) extern const ot_op ot_op_##id;
#include "op_list.h"
#undef OT_OP

static const ot_op *const table[] = {
#define OT_OP(id) &ot_op_##id,
#include "op_list.h"
#undef OT_OP
};

#define N_OPS ((int)(sizeof(table) / sizeof(table[0])))

const ot_op *const *ot_all_ops(int *count)
{
    *count = N_OPS;
    return table;
}

/* The first row with this name, or where it would be. */
static int first_named(const char *name)
{
    int lo = 0, hi = N_OPS;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (strcmp(table[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

ot_status ot_find_op(const ot_op **out, const char *domain, const char *name, int opset)
{
    const ot_op *other = NULL; /* the operator, but not at this opset: a better message */
    *out = NULL;
    for (int i = first_named(name); i < N_OPS && strcmp(table[i]->name, name) == 0; i++) {
        if (strcmp(table[i]->domain, domain) != 0)
            continue;
        other = table[i];
        if (other->since <= opset && opset <= other->until) {
            *out = other;
            return OT_OK;
        }
    }
    if (other)
        return ot_fail(OT_EUNSUPPORTED, "%s is here for opset %d to %d, the model is at %d", name, other->since,
                       other->until, opset);
    return ot_fail(OT_EUNSUPPORTED, "no operator '%s'%s%s", name, *domain ? " in domain " : "", domain);
}

const char *ot_ops_isa(void)
{
    return ot_kernels_isa();
}
