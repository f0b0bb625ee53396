/* NumPy's .npy files in memory; files: ot_npy_read and ot_npy_write of onnxtune.h.  Format: NEP 1. */
#ifndef OT_DATA_NPY_H
#define OT_DATA_NPY_H

#include "base/tensor.h"

/* A new tensor from the n bytes of a .npy file; OT_EDATA as ot_npy_read says. */
ot_status ot_npy_decode(ot_tensor **out, const uint8_t *bytes, size_t n);

#endif
