/* Which operators the rows of all suites have exercised, and docs/operators.md, which is made from that and the
 * registry. The checks are the last suite, and hold only where everything ran.  With ONNXTUNE_OPERATORS=PATH the table
 * is written to PATH, whatever the file in docs/ says. */
#ifndef OT_TESTS_OP_TABLE_H
#define OT_TESTS_OP_TABLE_H

#include "op_case.h"

/* After a row has run: its operator counts as exercised, with gradients where the row has some.  The row is planned
 * once more with each element type that the schema allows and no row was planned with. */
void op_table_note_row(const op_case *row);
/* The internal operators in a graph that is about to run count as exercised: those of gradients have no rows of their
 * own, and are held against differences with the operator that emits them. */
void op_table_note_graph(const ot_graph *g);
/* For operators whose values no row can hold (sequences, subgraphs): a test of another kind has exercised it. */
void op_table_note(const char *domain, const char *name, int opset, bool gradient);

#endif
