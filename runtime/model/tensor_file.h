/* Tensors in files of their own, one TensorProto each (.pb), as ONNX's test data has them.  ot_tensor_file_read and
 * ot_tensor_file_write are public. */
#ifndef OT_MODEL_TENSOR_FILE_H
#define OT_MODEL_TENSOR_FILE_H

#include "model/model.h"

/* A copy of t's value in memory of its own; m as in ot_model_tensor. */
ot_status ot_model_tensor_copy(ot_tensor **out, const ot_model *m, const Onnx__TensorProto *t);

/* The same for n bytes that hold a TensorProto. */
ot_status ot_tensor_parse(ot_tensor **out, const uint8_t *bytes, size_t n);

#endif
