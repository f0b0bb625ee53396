/* Declares the kernels of this instruction set. */
#ifndef OT_KERNELS_ISA_TABLE_H
#define OT_KERNELS_ISA_TABLE_H

#include "../table.h"
#include "isa.h"

#define OT_DECLARE_V(name, params, args)       void OT_K(name) params;
#define OT_DECLARE_R(type, name, params, args) type OT_K(name) params;
OT_KERNEL_LIST(OT_DECLARE_V, OT_DECLARE_R)

extern const ot_kernel_table OT_K(ot_kernels);

#endif
