/* For tests: crafts wire data by hand, and compares two files' wire data without knowing the schema. */
#ifndef OT_TESTS_WIRE_DATA_H
#define OT_TESTS_WIRE_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wire_data {
    uint8_t bytes[1 << 16];
    size_t n;
} wire_data;

void wire_varint(wire_data *w, uint64_t v);
void wire_int(wire_data *w, uint32_t field, uint64_t v);
void wire_bytes(wire_data *w, uint32_t field, const void *p, size_t n);
void wire_text(wire_data *w, uint32_t field, const char *s);
void wire_nest(wire_data *w, uint32_t field, const wire_data *inner);

/* The smallest model: IR 8, opset 17, a graph with the given body. */
void wire_model(wire_data *w, const wire_data *graph);

/* Fields may stand in another order only where their numbers differ; values must be the same bytes, or messages that
 * are equal in this sense. */
bool wire_equal(const uint8_t *a, size_t na, const uint8_t *b, size_t nb);

#endif
