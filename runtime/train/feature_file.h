/* Features on the disk: rows of floats, each with the key of the sample that it comes from and a checksum.  What is
 * read is not trusted: sizes must fit the file exactly, and a row that does not fit its checksum is none. */
#ifndef OT_TRAIN_FEATURE_FILE_H
#define OT_TRAIN_FEATURE_FILE_H

#include "base/file.h"

typedef struct ot_feature_file ot_feature_file;

/* NULL in *out, and OT_OK, where there is no file, or one of another model or shape, or a damaged one. */
ot_status ot_feature_file_open(ot_feature_file **out, const char *path, uint64_t model, int64_t floats);
void ot_feature_file_close(ot_feature_file *f);
int64_t ot_feature_file_rows(const ot_feature_file *f);
/* The row with this key; -1: there is none. */
int64_t ot_feature_file_find(const ot_feature_file *f, uint64_t key);
/* Any number of threads may read at a time.  OT_EIO; OT_EDATA: the row is damaged. */
ot_status ot_feature_file_read(const ot_feature_file *f, int64_t row, float *features);

/* A new file, in place of an old one when it is done: rows are put one after the other. */
typedef struct ot_feature_writer ot_feature_writer;
ot_status ot_feature_writer_open(ot_feature_writer **out, const char *path, uint64_t model, int64_t floats,
                                 int64_t rows);
ot_status ot_feature_writer_put(ot_feature_writer *w, uint64_t key, const float *features);
/* Closes w in every case; OT_EARG where rows are missing. */
ot_status ot_feature_writer_commit(ot_feature_writer *w);
/* Closes w and writes nothing; NULL is fine. */
void ot_feature_writer_abort(ot_feature_writer *w);

#endif
