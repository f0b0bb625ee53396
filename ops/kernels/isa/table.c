/* The table of this instruction set, and the declarations of what is in it. */
#include "table.h"

#define FIELD_V(name, params, args)       .name = OT_K(name),
#define FIELD_R(type, name, params, args) .name = OT_K(name),
const ot_kernel_table OT_K(ot_kernels) = { OT_KERNEL_LIST(FIELD_V, FIELD_R) };
