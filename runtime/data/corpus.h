/* Inside of a text: for its batches and for the loader that hands them out. */
#ifndef OT_DATA_CORPUS_H
#define OT_DATA_CORPUS_H

#include "data/vocabulary.h"

typedef struct ot_corpus {
    ot_text_options o; /* strings are not kept */
    ot_vocabulary vocabulary;
    int32_t *token;  /* of the whole text, and of the file that validates behind it */
    int64_t part[2]; /* where the training and the validation part begin */
    int64_t size[2]; /* and their characters; windows: both are of the whole text unless a file validates */
    int64_t *window; /* numbers of the windows, those that validate first; NULL: a stream, or a file validates */
    int64_t windows[2];
    ot_dataset d;
} ot_corpus;

/* The characters of a file as code points; n at least 1.  OT_EDATA with the byte. */
ot_status ot_text_read(uint32_t **out, int64_t *n, const char *path, bool lower);

/* text_model.c: has the model's metadata these fields. */
ot_status ot_text_spec_parse(ot_text_options *o, const char *json);

/* corpus_batches.c: what a loader does for text. */
typedef struct ot_text_reader ot_text_reader;
ot_status ot_text_reader_open(ot_text_reader **out, const ot_dataset *d, const ot_loader_options *o);
void ot_text_reader_close(ot_text_reader *r);
ot_status ot_text_reader_start(ot_text_reader *r, uint64_t epoch, int64_t first_batch);
ot_status ot_text_reader_next(ot_text_reader *r, ot_batch *out);
/* At most; the lengths that are drawn may use up a stream earlier. */
int64_t ot_text_reader_batches(const ot_text_reader *r);

#endif
