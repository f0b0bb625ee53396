/* What the fuzzing targets share.  Half of the mutations are libFuzzer's, of bytes; the other half are those of
 * mutate.h, of the model, so that most inputs get past the loader. */
#ifndef OT_TESTS_FUZZ_H
#define OT_TESTS_FUZZ_H

#include "mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

/* A state that depends on the input alone. */
mutate_rng fuzz_rng(const uint8_t *data, size_t size);
/* The file that this process writes again and again, in memory where the system has such a folder. */
const char *fuzz_path(void);
/* The model as its file would hold it; free() it.  NULL when it cannot be saved. */
uint8_t *fuzz_saved(size_t *n, const ot_model *m);
/* Aborts, with the words and the error, where a promise of the library does not hold. */
void fuzz_promise(bool kept, const char *words);

#endif
