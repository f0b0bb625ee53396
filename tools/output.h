/* Results on stdout: text tables, JSON, numbers for people. */
#ifndef OT_TOOLS_OUTPUT_H
#define OT_TOOLS_OUTPUT_H

#include "tool.h"

#include <jansson.h>
#include <stdio.h>

/* May this stream be coloured: a terminal, and NO_COLOR is not set. */
bool ot_colour(FILE *f);

/* A table that finds the width of its columns.  `columns`: one letter each, l or r (left, right). */
typedef struct ot_table ot_table;
ot_table *ot_table_open(const char *columns);
/* The next cell, row by row. */
void ot_table_cell(ot_table *t, const char *fmt, ...) OT_TOOL_PRINTF(2, 3);
/* Prints it, the first row as the heading, and frees it. */
void ot_table_print(ot_table *t);

/* Prints one JSON value and a newline on stdout and takes v over; false (and an error line) when that fails. */
bool ot_print_json(json_t *v);
/* A number; null when it is not finite. */
json_t *ot_json_real(double v);
json_t *ot_json_dims(const ot_tensor *t);
/* A string; bytes that are no UTF-8 become '?'. */
json_t *ot_json_text(const char *s);

/* "1.5 MB", "21,797,672", "2:05"; into a ring of buffers that lasts for eight calls. */
const char *ot_bytes_text(double bytes);
const char *ot_count_text(int64_t n);
const char *ot_time_text(double seconds);
/* "1x3x224x224", "scalar". */
const char *ot_dims_text_of(const ot_tensor *t);

#endif
