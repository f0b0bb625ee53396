/* Element types and tensors, beyond what the public header shows. */
#ifndef OT_BASE_TENSOR_H
#define OT_BASE_TENSOR_H

#include "base/alloc.h"

int ot_dtype_bits(ot_dtype dtype);      /* 2 to 128; 0 for strings and undefined */
bool ot_dtype_is_float(ot_dtype dtype); /* float, double, float16, bfloat16 and the smaller ones; not complex */
bool ot_dtype_is_int(ot_dtype dtype);   /* signed and unsigned integers of any width; not bool */
/* Bytes of one element of a type of 8 bits or more, strings included (sizeof(ot_str)); 0 for packed types. */
size_t ot_dtype_size(ot_dtype dtype);

/* Product of the dims; false when one is negative, or the product of those that are not 0 passes INT64_MAX: strides of
 * an empty tensor are products too. */
bool ot_count(int64_t *out, int rank, const int64_t *dim);
/* Bytes that a tensor takes; OT_EARG with the dims in the text when they are out of range. */
ot_status ot_bytes(size_t *out, ot_dtype dtype, int rank, const int64_t *dim);

/* Fills an existing view with owned zeroed memory: release with ot_tensor_release. */
ot_status ot_tensor_init(ot_tensor *t, ot_dtype dtype, int rank, const int64_t *dim);
void ot_tensor_release(ot_tensor *t);

/* Same bits in tensors of one type and shape; strings are compared. */
bool ot_tensor_same_data(const ot_tensor *a, const ot_tensor *b);

/* Element i from a double: integers and floats of 8 bits and fewer saturate, NaN becomes 0 in integers.  Strings and
 * complex are left alone.  Packed types are written in rising order: the elements behind i in its byte become 0. */
void ot_tensor_set(ot_tensor *t, int64_t i, double value);
/* Element i of an integer or bool tensor, exact to 64 bits (uint64 wraps). */
int64_t ot_tensor_get_int(const ot_tensor *t, int64_t i);
/* Element i of an integer type; what does not fit wraps.  Packed types as above. */
void ot_tensor_set_int(ot_tensor *t, int64_t i, int64_t value);
/* Element i of a type under 8 bits, by its bits; as above. */
void ot_tensor_set_packed(ot_tensor *t, int64_t i, unsigned code);
unsigned ot_tensor_get_packed(const ot_tensor *t, int64_t i);

/* "[2,3,?]" for messages; text is cut to n bytes; negative dims are written '?'. */
const char *ot_dims_text(char *text, size_t n, int rank, const int64_t *dim);
#define OT_DIMS_TEXT 128
/* In an argument list: a compound literal as the buffer. */
#define OT_DIMS(rank, dim) ot_dims_text((char[OT_DIMS_TEXT]){ 0 }, OT_DIMS_TEXT, rank, dim)

#endif
