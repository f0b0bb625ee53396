/* A folder of pictures as a data set: what ot_folder_open (onnxtune.h) is made of. */
#ifndef OT_DATA_FOLDER_H
#define OT_DATA_FOLDER_H

#include "base/arena.h"

typedef struct ot_picture {
    const char *path; /* relative to the folder, "train/cats/a.jpg" */
    int64_t label;
} ot_picture;

typedef struct ot_picture_list {
    ot_picture *at;
    int64_t n, cap;
} ot_picture_list;

/* The pictures of a folder by split, each sorted by path; strings live in the arena. */
typedef struct ot_folder_files {
    ot_arena text;
    const char **classes; /* sorted, n_classes */
    int64_t n_classes;
    ot_picture_list split[2];
    bool has_valid; /* a folder for validation was there */
} ot_folder_files;

/* Lists DIR/train and DIR/valid, or DIR.  OT_EIO: a folder cannot be read; OT_EDATA: no classes, or a class that only
 * validation has.  Release in every case. */
ot_status ot_folder_scan(ot_folder_files *f, const char *dir);
/* Moves a share of the training pictures to validation, by a hash of (seed, path): adding a picture moves no other. */
ot_status ot_folder_split(ot_folder_files *f, double fraction, uint64_t seed);
void ot_folder_files_release(ot_folder_files *f);

/* "DIR/PATH" in a new string. */
char *ot_folder_join(const char *dir, const char *path);
/* The full path of a folder in a new string; NULL when memory ran out. */
char *ot_folder_place(const char *dir);
/* For ot_dataset.stamp: of what a plain sample depends on besides its file; and of augmentation. */
uint64_t ot_image_spec_hash(const ot_image_spec *s);
uint64_t ot_augment_hash(const ot_folder_options *o);

/* Pictures that were decoded without an error before: 64-bit keys of (path, size, time of change), kept in a file of
 * the user's cache folder, one for each data folder. */
typedef struct ot_seen {
    char *file; /* NULL when there is no cache folder: then nothing is remembered */
    uint64_t *keys;
    int64_t n;
} ot_seen;

/* An absent or damaged file is an empty list; fails only with OT_ENOMEM. */
ot_status ot_seen_open(ot_seen *s, const char *dir);
/* 0 when the file cannot be looked at. */
uint64_t ot_seen_key(const char *dir, const char *path);
bool ot_seen_has(const ot_seen *s, uint64_t key);
/* Replaces the list (keys is sorted in place); that it cannot be written is no error. */
void ot_seen_save(const ot_seen *s, uint64_t *keys, int64_t n);
void ot_seen_release(ot_seen *s);

/* A folder with the six files of CIFAR-10's binary version?  And as a data set. */
bool ot_cifar_there(const char *dir);
ot_status ot_cifar_open(ot_dataset **out, const char *dir, const ot_folder_options *o);

#endif
