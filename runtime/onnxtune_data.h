/* Data: pictures, tensor files, data sets of pictures and text, the loader.  Part of onnxtune.h, which includes it. */
#ifndef ONNXTUNE_DATA_H
#define ONNXTUNE_DATA_H

#ifndef ONNXTUNE_H
#error "include onnxtune.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What a picture becomes before a model sees it: shorter side to `resize` (bilinear, antialiased), a centre crop of
 * size x size, then (value - mean) / std for each channel, where value runs from 0 to `range`. */
typedef struct ot_image_spec {
    int64_t size;
    int64_t resize;        /* at least size; 0: size * 256 / 224 */
    float mean[3], std[3]; /* in the units of `range` and the order of the output's channels */
    float range;           /* 1 or 255 */
    bool bgr;              /* blue first */
    bool nhwc;             /* channels last: [1,size,size,3], else [1,3,size,size] */
} ot_image_spec;
/* ImageNet's. */
#define OT_IMAGE_SPEC_INIT                                                                                             \
    {                                                                                                                  \
        224, 0, { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f }, 1, false, false                                \
    }

/* The model's metadata "onnxtune.input": {"size": 224, "resize": 256, "mean": [.485, .456, .406], "std": [...],
 * "channels": "rgb", "range": 1, "layout": "nchw"}.  Parsing changes only the fields that are there, nothing when it
 * fails (OT_EDATA).  The text is freed with ot_text_free. */
OT_API ot_status ot_image_spec_parse(ot_image_spec *spec, const char *json);
OT_API ot_status ot_image_spec_text(char **out, const ot_image_spec *spec);

/* Names of classes. */
typedef struct ot_labels {
    int64_t n;
    char **name; /* [n] */
} ot_labels;

/* The metadata "onnxtune.labels", a JSON list of strings. */
OT_API ot_status ot_labels_parse(ot_labels **out, const char *json);
OT_API ot_status ot_labels_text(char **out, const char *const *names, int64_t n); /* free with ot_text_free */
/* A file of labels: one a line, or a JSON list.  OT_EIO, OT_EDATA. */
OT_API ot_status ot_labels_read(ot_labels **out, const char *path);
OT_API void ot_labels_free(ot_labels *l);

/* What m wants: ImageNet's preprocessing, size and layout from its input where they are fixed, and over that what its
 * metadata "onnxtune.input" says.  OT_EDATA: that is no such JSON object; *out is then the rest. */
OT_API ot_status ot_image_spec_from_model(ot_image_spec *out, const ot_model *m);

/* One JPEG, PNG, BMP, PPM or PGM file as a float tensor of batch 1; free with ot_tensor_free.  EXIF orientation is
 * obeyed; grey, CMYK, 16-bit pictures are converted, alpha is dropped.
 * OT_EDATA: no picture, or a damaged one (the text begins with the path); OT_EIO; OT_EARG: the spec. */
OT_API ot_status ot_image_load(ot_tensor **out, const char *path, const ot_image_spec *spec);

/* Writes 8-bit pixels (channels: 1 grey, 3 RGB, 4 RGBA; rows from the top, no padding) as a PNG file. */
OT_API ot_status ot_png_write(const char *path, const uint8_t *pixels, int64_t w, int64_t h, int channels);

/* A .npy file (format 1 to 3, little or big endian, C or Fortran order) as a new tensor; free with ot_tensor_free.
 * OT_EDATA: damaged, or of a type that is not bool, an integer, a float or complex; OT_EIO. */
OT_API ot_status ot_npy_read(ot_tensor **out, const char *path);
/* The tensor as .npy; bfloat16 and 8-bit floats are written as float32, packed integers as int8 or uint8.
 * OT_EUNSUPPORTED: strings. */
OT_API ot_status ot_npy_write(const char *path, const ot_tensor *t);

/* ---- Data sets ---- */

enum { OT_TRAIN = 0, OT_VALID = 1 }; /* splits */

/* A source of labelled samples.  Open a folder of pictures as one (ot_folder_open), or fill in the struct for data of
 * your own.  All functions but close may be called from several threads at once. */
typedef struct ot_dataset {
    void *ctx;                      /* handed to every function */
    int64_t count[2];               /* samples of each split */
    int64_t classes;                /* labels are 0 .. classes-1 */
    const char *const *class_names; /* [classes], or NULL */
    int rank;                       /* of one sample, without the batch axis: 3 and {3,224,224} for a picture */
    int64_t dim[OT_MAX_RANK];
    /* Writes sample `index` of a split and its label.  With augment the sample is changed at random, as a pure
     * function of (the data set's seed, the sample's name, epoch); without, it is always the same.
     * On failure it returns the status and sets the text with ot_set_error. */
    ot_status (*load)(void *ctx, int split, int64_t index, bool augment, uint64_t epoch, float *sample, int64_t *label);
    /* The label alone, without reading the sample. */
    int64_t (*label)(void *ctx, int split, int64_t index);
    /* A name that stays the same from run to run (a path relative to the folder); lives as long as the set.
     * The function may be NULL. */
    const char *(*name)(void *ctx, int split, int64_t index);
    void (*close)(void *ctx); /* may be NULL */
    /* Of text alone (ot_text_open), which comes in whole batches: load and label are not called, a count is of
     * characters or windows, and what a batch looks like is said by ot_batch. */
    struct ot_corpus *text;
    bool each, batch_first; /* as ot_text_options */
    int64_t steps;          /* of a usual batch */
    uint64_t mark;          /* another one for other text, vocabulary or batches */
    /* For features that are kept on the disk (OT_CACHE_DISK); both may be NULL.  Where the samples come from, as a full
     * path; and a number that is another one whenever what `load` would give for these arguments may be (a file's size
     * or time of change, the preprocessing, the augmentation).  0: it cannot be told. */
    const char *place;
    uint64_t (*stamp)(void *ctx, int split, int64_t index, bool augment, uint64_t epoch);
} ot_dataset;

/* Calls d->close, if there is one; NULL is fine. */
OT_API void ot_dataset_close(ot_dataset *d);
/* For callbacks: sets what ot_last_error says in this thread, and returns st. */
OT_API ot_status ot_set_error(ot_status st, const char *text);

/* What training does to a picture, at random. */
typedef enum ot_augment {
    OT_AUGMENT_NONE,     /* nothing: as in validation */
    OT_AUGMENT_SIDE_ON,  /* mirrored (half of them), turned by up to 10 degrees (3 of 4), brightness and contrast by up
                            to 5 %, shorter side to size * U(1, zoom) (3 of 4), a crop anywhere */
    OT_AUGMENT_TOP_DOWN, /* the same, and any of the eight turns and mirrorings of a square */
    OT_AUGMENT_CROP_FLIP /* mirrored, and a crop of 8 to 100 % of the area and a shape from 3:4 to 4:3; pictures of at
                            most `size` are padded by size / 8 (edges reflected) and cropped instead */
} ot_augment;

typedef struct ot_folder_options {
    ot_image_spec spec;
    ot_augment augment;
    float zoom;            /* at least 1 */
    double valid_fraction; /* without a `valid` folder: this share of the pictures validates, chosen by name and seed */
    uint64_t seed;
    int threads; /* for the check of all pictures; 0: the physical cores */
    /* One line each: a picture that is left out, classes of very different size.  May be NULL. */
    void (*warn)(void *ctx, const char *text);
    /* Pictures checked so far, from the caller's thread, at irregular times.  May be NULL. */
    void (*progress)(void *ctx, int64_t done, int64_t total);
    void *ctx;
} ot_folder_options;
#define OT_FOLDER_INIT                                                                                                 \
    {                                                                                                                  \
        OT_IMAGE_SPEC_INIT, OT_AUGMENT_SIDE_ON, 1.1f, 0.2, 42, 0, NULL, NULL, NULL                                     \
    }

/* DIR/train/CLASS/ and DIR/valid/CLASS/ (or `val`), or DIR/CLASS/ alone, with .jpg .jpeg .png .bmp .ppm .pgm files;
 * classes are the sorted folder names.  Or a folder with the six .bin files of CIFAR-10.
 * Every picture is decoded once before the call returns, and remembered as good in the user's cache folder by path,
 * size and time of change.  Bad ones are left out with a warning.
 * OT_EDATA: more than 1 % are bad, or there are none; OT_EIO; OT_EARG: an option.  Close with ot_dataset_close. */
OT_API ot_status ot_folder_open(ot_dataset **out, const char *dir, const ot_folder_options *o);
/* Sets mean and std of spec to those of each channel over all training pictures, prepared as spec says otherwise, not
 * augmented (a channel that never changes: a deviation of 1).  o as above, but for o->spec. */
OT_API ot_status ot_folder_statistics(ot_image_spec *spec, const char *dir, const ot_folder_options *o);

/* ---- Text: characters as a data set ---- */

/* How text becomes batches.  A model that carries a state from run to run reads it as a stream: as many rows as a batch
 * has, each going on where it ended.  Others see windows of a fixed length. */
typedef struct ot_text_options {
    bool lower;             /* capital letters become small ones */
    int64_t min_count;      /* a character that is rarer becomes <unk>; 1: all are kept */
    const char *vocabulary; /* as the metadata "onnxtune.vocab"; NULL: from the text, by min_count */
    const char *valid;      /* a file that validates; NULL: a share of the text */
    double valid_fraction;  /* of a stream the end, else windows by chance; below 0: .18 of a stream, .2 of windows */

    bool stream;      /* the model has a state */
    bool each;        /* each character has a label, the one that follows; else the last one of a window */
    bool batch_first; /* tokens are [N, T] */
    int64_t steps;    /* characters of a window; of a stream: of each batch, 0: as bptt says */
    int64_t stride;   /* from a window to the next; 0: steps with `each`, else 1 */
    int64_t bptt;     /* of a stream: about so many characters a batch.  Their number is drawn: normal of deviation 5
                         around bptt (95 %) or half of it (5 %), 5 at least; an epoch ends after text / bptt - 1 batches */
    uint64_t seed;
} ot_text_options;
#define OT_TEXT_INIT                                                                                                   \
    {                                                                                                                  \
        .min_count = 1, .valid_fraction = -1, .bptt = 8, .seed = 42                                                    \
    }

/* What m reads: stream, each and steps from its inputs and outputs (inputs behind the first are states, outputs behind
 * the first what becomes of them, in order); lower, batch_first and vocabulary from its metadata, where it has them (a
 * pointer into m).  OT_EDATA: metadata that is none. */
OT_API ot_status ot_text_options_from_model(ot_text_options *o, const ot_model *m);
/* The vocabulary of a file by lower and min_count, as JSON; *n: its entries.  Free with ot_text_free. */
OT_API ot_status ot_text_vocabulary(char **out, int64_t *n, const char *path, const ot_text_options *o);
/* A file of UTF-8 text as a data set whose classes are the vocabulary.  OT_EIO; OT_EDATA: no UTF-8 (with the byte), no
 * text, a character that the vocabulary lacks; OT_EARG: an option.  Close with ot_dataset_close. */
OT_API ot_status ot_text_open(ot_dataset **out, const char *path, const ot_text_options *o);
/* Notes vocabulary and spelling in m's metadata: "onnxtune.vocab" and "onnxtune.text". */
OT_API ot_status ot_text_describe(ot_model *m, const ot_dataset *d);

typedef struct ot_generate_options {
    const char *prompt; /* NULL: one character, a line's end where the model knows it */
    int64_t length;     /* characters to make */
    double temperature; /* divides the scores; 0: always the likeliest */
    uint64_t seed;
    int threads;
    size_t memory;
    /* Gets the characters one by one, not the prompt; false stops: OT_ESTOPPED. */
    bool (*text)(void *ctx, const char *bytes, size_t n);
    void *ctx;
} ot_generate_options;
#define OT_GENERATE_INIT                                                                                               \
    {                                                                                                                  \
        .length = 400, .temperature = 1, .seed = 42                                                                    \
    }
/* Lets a character model write.  OT_EDATA: it has no vocabulary, or the prompt has a character that is not in it;
 * OT_EARG: an option, a prompt shorter than the model's window. */
OT_API ot_status ot_text_generate(const ot_model *m, const ot_generate_options *o);

/* ---- Loader: batches of a data set, prepared ahead by threads of its own ---- */

typedef struct ot_loader ot_loader;

typedef struct ot_loader_options {
    int split;      /* OT_TRAIN or OT_VALID */
    int64_t batch;  /* samples of a batch; the last one of an epoch may have fewer */
    bool augment;   /* as ot_dataset.load */
    bool shuffle;   /* a new order each epoch, from (seed, epoch); else the data set's order */
    bool drop_last; /* leave a smaller last batch out */
    uint64_t seed;
    int threads;      /* workers; 0: the physical cores, 4 at most */
    int ahead;        /* batches held ready, besides the one handed out; 0: 2 */
    int64_t variants; /* augmentation sees epoch % variants; 0: every epoch is new */
} ot_loader_options;
#define OT_LOADER_INIT                                                                                                 \
    {                                                                                                                  \
        OT_TRAIN, 64, true, true, false, 42, 0, 0, 0                                                                   \
    }

typedef struct ot_batch {
    int64_t n;                       /* samples; 0: the epoch is over */
    int64_t first;                   /* number of its first sample within the epoch's order */
    const float *samples;            /* [n, dim...] */
    const int64_t *labels, *indices; /* [n]; indices into the split */
    int64_t rows;                    /* labels: n, but of text see below */
    /* Text: samples and indices are NULL.  tokens: [steps, n], or [n, steps] for models that want the batch first;
     * labels: the characters that follow, in the same order, or [n] where only the last one's does. */
    const int64_t *tokens;
    int64_t steps;
    bool last; /* of text: the epoch ends with it */
} ot_batch;

typedef struct ot_loader_stats {
    double waited;  /* seconds that ot_loader_next stood still since ot_loader_start */
    double elapsed; /* seconds from ot_loader_start to the last ot_loader_next */
    double loading; /* seconds that the workers spent in ot_dataset.load, summed over them */
    int64_t samples;
} ot_loader_stats;

/* d must outlive the loader.  OT_EARG: an option out of range, or an empty split. */
OT_API ot_status ot_loader_create(ot_loader **out, const ot_dataset *d, const ot_loader_options *o);
/* Begins an epoch at the batch numbered first_batch (0: from the start; a resumed run: where it stopped), and drops
 * whatever was prepared.  The batches are the same for any number of threads. */
OT_API ot_status ot_loader_start(ot_loader *l, uint64_t epoch, int64_t first_batch);
/* The next batch, valid until the next call on l.  A sample that could not be loaded fails here, in its place in the
 * order, with the text that load set; only ot_loader_start goes on from there. */
OT_API ot_status ot_loader_next(ot_loader *l, ot_batch *out);
/* Batches of a whole epoch. */
OT_API int64_t ot_loader_batches(const ot_loader *l);
OT_API void ot_loader_statistics(ot_loader *l, ot_loader_stats *out);
/* Stops the workers, in the middle of an epoch too. */
OT_API void ot_loader_close(ot_loader *l);

#ifdef __cplusplus
}
#endif
#endif
