/* Files: reading whole ones, and writing so that a crash never leaves half a file and never harms an old one. */
#ifndef OT_BASE_FILE_H
#define OT_BASE_FILE_H

#include "base/alloc.h"

/* A regular file mapped for reading; `bytes` is not NULL even when n is 0.  All zero is an empty map.  A file that
 * another process shortens while it is mapped kills the reader (SIGBUS): small files are better read. */
typedef struct ot_map {
    const uint8_t *bytes;
    size_t n;
} ot_map;

/* OT_EIO: no such file, no right to read it, or no regular file (folders, pipes and devices are refused). */
ot_status ot_file_map(ot_map *out, const char *path);
void ot_file_unmap(ot_map *m);

/* The whole of a regular file in a new buffer (free with ot_free), followed by one zero byte that *n does not count.
 * OT_EIO as above, and for a file of more than `limit` bytes. */
ot_status ot_file_read(uint8_t **out, size_t *n, const char *path, size_t limit);

/* A regular file that is read in places.  Any number of threads may read at a time. */
typedef struct ot_reader ot_reader;
/* *n: its bytes now.  OT_EIO as above. */
ot_status ot_reader_open(ot_reader **out, const char *path, uint64_t *n);
/* OT_EIO: the file ends before that, or cannot be read. */
ot_status ot_reader_at(const ot_reader *r, uint64_t offset, void *bytes, size_t n);
void ot_reader_close(ot_reader *r);

/* "$XDG_CACHE_HOME/onnxtune" or "$HOME/.cache/onnxtune", made when absent; ot_free it.  NULL: there is no place. */
ot_status ot_cache_folder(char **out);

/* Bytes of memory that may be taken now, as the kernel and the control group tell; SIZE_MAX: they do not. */
size_t ot_memory_available(void);

/* Writes to a temporary name in the folder of `path` and puts the file in place at commit.  An existing regular file
 * keeps its permissions, a symbolic link is followed; a pipe or device is written directly.  One thread at a time. */
typedef struct ot_writer ot_writer;

ot_status ot_writer_open(ot_writer **out, const char *path);
/* After a failure every further put and the commit fail with the same text. */
ot_status ot_writer_put(ot_writer *w, const void *bytes, size_t n);
/* Bytes put so far. */
uint64_t ot_writer_size(const ot_writer *w);
/* Flushes, fsyncs, renames, fsyncs the folder.  Closes w in every case; on failure the old file is as it was. */
ot_status ot_writer_commit(ot_writer *w);
/* Closes w and removes the temporary file; NULL is fine. */
void ot_writer_abort(ot_writer *w);
/* Removes temporary files of processes that are gone, not written for an hour. */
void ot_writer_tidy(const char *folder);

#endif
