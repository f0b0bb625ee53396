/* Runs models that nobody knows: inputs are what the session says that it takes, with unknown sizes drawn, and their
 * elements too. */
#ifndef OT_TESTS_FEED_H
#define OT_TESTS_FEED_H

#include "mutate.h"

/* Inputs of more than 65536 elements are planned, not run.  The first and the last element of each output are read. */
ot_status feed_session(ot_session *s, mutate_rng *r);
/* In a session with options drawn, once or twice; `memory` caps it. */
ot_status feed_model(const ot_model *m, mutate_rng *r, size_t memory);

#endif
