/* Texts in files, for tests. */
#ifndef OT_TESTS_TEXT_FILE_H
#define OT_TESTS_TEXT_FILE_H

#include <stddef.h>

/* A file of these bytes in the folder for tests; its path, valid until the next call. */
const char *text_file(const char *name, const char *bytes, size_t n);
/* The same of made-up sentences from a small vocabulary, of this many characters. */
const char *text_sentences(const char *name, int n);

#endif
