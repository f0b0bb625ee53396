/* onnxtune.h: load an ONNX model, run it, change its head, fine-tune it, save it.  The only header installed.
 *
 * The contract, true of every function here unless its own comment says otherwise:
 *  - It returns ot_status; OT_OK is 0.  After anything else ot_last_error() is one line of text: what, where, numbers.
 *  - Out-parameters come first, and are set to NULL when the call fails.
 *  - *_open and *_create give the caller ownership, *_close takes it back; closing NULL is fine.
 *  - A const pointer from a getter belongs to the object it came from, and dies with it.
 *  - One handle, one thread at a time; different handles may be used from different threads.
 *  - Option structs are set up with their *_INIT macro; fields are only ever appended.
 *  - Counts and sizes of dimensions are int64_t, bytes are size_t.
 *  - The library never prints, exits or aborts.  A file is hostile input: everything read from one is checked. */
#ifndef ONNXTUNE_H
#define ONNXTUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) || !defined(__GNUC__)
#define OT_API
#else
#define OT_API __attribute__((visibility("default")))
#endif

/* ---- Errors ------------------------------------------------------------------------------------------------ */

typedef enum ot_status {
    OT_OK,
    OT_ENOMEM,       /* memory ran out, or the --memory cap would be passed */
    OT_EIO,          /* a file could not be read or written */
    OT_EMODEL,       /* the model file breaks a rule of ONNX */
    OT_EUNSUPPORTED, /* valid, but not something this version can do */
    OT_ESHAPE,       /* shapes or element types do not fit together */
    OT_EARG,         /* a wrong argument or option */
    OT_EDEVICE,      /* the device failed */
    OT_ENOGRAD,      /* a gradient is not known */
    OT_EDATA,        /* a picture, tensor file or data folder is broken */
    OT_ESTOPPED      /* stopped on request; the state was saved where a checkpoint folder is set */
} ot_status;         /* append only */

/* The last error of this thread as one line without a newline; "" if there was none.  Never NULL. */
OT_API const char *ot_last_error(void);

/* ---- Library ----------------------------------------------------------------------------------------------- */

typedef struct ot_version {
    const char *version;   /* "0.1.0" */
    int opset, ir_version; /* the newest that are read */
    const char *isa;       /* the instruction set in use: "baseline", "avx2" or "avx512" */
    int cores;             /* physical cores that this process may use: the default number of threads */
    char libraries[128];   /* what it was built with, and their versions */
    char devices[128];     /* "cpu" and those that were found besides */
} ot_version;
/* Fast: nothing is opened or measured. */
OT_API void ot_version_info(ot_version *out);

/* Bytes as a whole file: written to a temporary name in the same folder, fsync'd and renamed, so that a crash leaves
 * the old file or the new one.  OT_EIO. */
OT_API ot_status ot_file_write(const char *path, const void *bytes, size_t n);

/* ---- Tensors ----------------------------------------------------------------------------------------------- */

/* Element types; the numbers are those of ONNX's TensorProto.DataType. */
typedef enum ot_dtype {
    OT_UNDEFINED = 0,
    OT_FLOAT = 1,
    OT_UINT8 = 2,
    OT_INT8 = 3,
    OT_UINT16 = 4,
    OT_INT16 = 5,
    OT_INT32 = 6,
    OT_INT64 = 7,
    OT_STRING = 8,
    OT_BOOL = 9,
    OT_FLOAT16 = 10,
    OT_DOUBLE = 11,
    OT_UINT32 = 12,
    OT_UINT64 = 13,
    OT_COMPLEX64 = 14,
    OT_COMPLEX128 = 15,
    OT_BFLOAT16 = 16,
    OT_FLOAT8E4M3FN = 17,
    OT_FLOAT8E4M3FNUZ = 18,
    OT_FLOAT8E5M2 = 19,
    OT_FLOAT8E5M2FNUZ = 20,
    OT_UINT4 = 21,
    OT_INT4 = 22,
    OT_FLOAT4E2M1 = 23,
    OT_FLOAT8E8M0 = 24,
    OT_UINT2 = 25,
    OT_INT2 = 26
} ot_dtype;

#define OT_MAX_RANK 12 /* a tensor of higher rank is refused */

/* One element of a string tensor: n bytes, not terminated, owned by the tensor. */
typedef struct ot_str {
    const char *bytes;
    size_t n;
} ot_str;

/* A dense tensor in row-major order.  Types under 8 bits are packed, the first element in the lowest bits.
 * The struct is a plain view: copying it copies no data.  Who owns `data` is said where a tensor is handed over. */
typedef struct ot_tensor {
    ot_dtype dtype;
    int rank;                 /* 0 is a scalar */
    int64_t dim[OT_MAX_RANK]; /* all >= 0 */
    void *data;               /* 64-byte aligned when the library allocated it; NULL only when nothing is held */
} ot_tensor;

/* A new tensor with zeroed elements (strings: empty).  Free with ot_tensor_free.
 * OT_EARG: rank or a dim out of range, or a product over SIZE_MAX; OT_ENOMEM. */
OT_API ot_status ot_tensor_create(ot_tensor **out, ot_dtype dtype, int rank, const int64_t *dim);
OT_API void ot_tensor_free(ot_tensor *t);
/* Product of the dims: 1 for a scalar. */
OT_API int64_t ot_tensor_count(const ot_tensor *t);
/* Bytes of `data`, packed types rounded up. */
OT_API size_t ot_tensor_bytes(const ot_tensor *t);
/* "float", "int64", ...: ONNX's names in lower case; "?" for no known type. */
OT_API const char *ot_dtype_name(ot_dtype dtype);
/* Element i as a double, from any numeric type (complex: the real part; strings: NaN). */
OT_API double ot_tensor_get(const ot_tensor *t, int64_t i);

/* ---- Models ------------------------------------------------------------------------------------------------ */

/* An ONNX model as a document: what is in the file, and the weights, which stay in the mapped file. */
typedef struct ot_model ot_model;

/* IR versions 1 to 14.  The file stays mapped until the model is closed: replace it (as ot_model_save does), never
 * shorten it.  OT_EIO; OT_EMODEL: not a well-formed ONNX file, with the byte; OT_EUNSUPPORTED: a newer IR version. */
OT_API ot_status ot_model_open(ot_model **out, const char *path);
/* The same from n bytes, which are copied.  Such a model cannot have external data. */
OT_API ot_status ot_model_open_memory(ot_model **out, const void *bytes, size_t n);
OT_API void ot_model_close(ot_model *m);
/* Writes the model, through a temporary file that is renamed; over the file that it came from is fine.  All that was in
 * the file is in the new one, fields unknown to this version included.  External data stays where it is when the new
 * file is in the folder of the old one, and goes into the new file otherwise. */
OT_API ot_status ot_model_save(const ot_model *m, const char *path);

/* The value of a key of metadata_props, or NULL. */
OT_API const char *ot_model_metadata(const ot_model *m, const char *key);
/* Sets or replaces it; NULL removes the key. */
OT_API ot_status ot_model_set_metadata(ot_model *m, const char *key, const char *value);
OT_API int64_t ot_model_ir_version(const ot_model *m);
/* The version of an operator set that the model imports, 0 when it does not; "" and "ai.onnx" are the same. */
OT_API int64_t ot_model_opset(const ot_model *m, const char *domain);

/* Of the main graph, in file order.  An input that has an initializer of its name (a default value) is left out. */
OT_API int64_t ot_model_input_count(const ot_model *m);
OT_API int64_t ot_model_output_count(const ot_model *m);
OT_API int64_t ot_model_initializer_count(const ot_model *m);
/* The i-th name; NULL when i is out of range. */
OT_API const char *ot_model_input_name(const ot_model *m, int64_t i);
OT_API const char *ot_model_output_name(const ot_model *m, int64_t i);
OT_API const char *ot_model_initializer_name(const ot_model *m, int64_t i);
/* Inputs that have a default value which a caller may replace: see ot_session_options.given.  None before IR version 4,
 * where an initializer is always a constant. */
OT_API int64_t ot_model_default_count(const ot_model *m);
OT_API const char *ot_model_default_name(const ot_model *m, int64_t i);

/* A file that holds one TensorProto (.pb, as ONNX's test data has them) as a new tensor; free with ot_tensor_free.
 * OT_EIO; OT_EDATA: no tensor, or a damaged one. */
OT_API ot_status ot_tensor_file_read(ot_tensor **out, const char *path);
OT_API ot_status ot_tensor_file_write(const char *path, const ot_tensor *t);

/* ---- New models ---------------------------------------------------------------------------------------------- */

typedef enum ot_net_kind { OT_NET_IMAGE, OT_NET_TEXT } ot_net_kind;
/* A net that ot_model_new knows, with what it takes where an option is 0; a field that is 0 here does not apply. */
typedef struct ot_net_info {
    const char *name, *does; /* one line */
    ot_net_kind kind;
    int64_t classes;   /* of text: entries of the vocabulary */
    int64_t size;      /* of pictures: height and width */
    int64_t steps;     /* of text: characters that it sees at once, where that is fixed */
    int64_t embed;     /* numbers a character */
    int64_t hidden;    /* of a recurrent layer */
    int64_t layers;    /* recurrent ones, where there may be several */
    double dropout;    /* between layers */
    const char *inits; /* initialisations besides its own, "identity, ..."; NULL: none */
} ot_net_info;
/* NULL when i is out of range. */
OT_API const ot_net_info *ot_net_get(int64_t i);

typedef struct ot_new_options {
    uint64_t seed;
    const char *init;      /* one of ot_net_info.inits; NULL: its own */
    int64_t classes, size; /* 0: as ot_net_info says; so for all */
    int64_t steps, embed, hidden, layers;
    double dropout; /* below 0: as ot_net_info says */
} ot_new_options;
#define OT_NEW_INIT                                                                                                    \
    {                                                                                                                  \
        .seed = 42, .dropout = -1                                                                                      \
    }
/* A net of this name with fresh weights, drawn by the seed and the names of its parameters.  Close it with
 * ot_model_close.  OT_EARG: no such net; an option that is out of range, or that the net does not have. */
OT_API ot_status ot_model_new(ot_model **out, const char *name, const ot_new_options *o);

/* ---- Checking: the structural rules of ONNX ------------------------------------------------------------------- */

/* One finding as one line without a newline: where, what, with the numbers. */
typedef void ot_on_finding(void *ctx, const char *text);

/* Checks a model against the rules of ONNX's own checker and those of the standard that need no run: versions and
 * imports, names and their order, operators with their inputs, outputs and attributes, tensors and external data,
 * types, functions, training information.  All findings are told at once; *n is how many.  tell may be NULL.  A model
 * may break rules and still run here, and pass all and use operators that are not here.  Fails with OT_ENOMEM only. */
OT_API ot_status ot_model_check(int64_t *n, const ot_model *m, ot_on_finding *tell, void *ctx);
/* The same of a file, which ot_model_open may refuse: what it would say is a finding.  OT_EIO. */
OT_API ot_status ot_model_check_file(int64_t *n, const char *path, ot_on_finding *tell, void *ctx);

/* What a value may be.  An item is a tensor, or holds other items; it owns all that is below it. */
typedef enum ot_kind { OT_TENSOR, OT_SEQUENCE, OT_OPTIONAL, OT_MAP } ot_kind;
typedef struct ot_item {
    ot_kind kind;
    ot_tensor *tensor;    /* of a tensor */
    ot_tensor *keys;      /* of a map: [n], an integer type or strings; item[i] belongs to key i */
    int64_t n;            /* items held; of an optional 0 or 1 */
    struct ot_item *item; /* [n]; the elements of a sequence are of one kind */
    ot_kind holds;        /* the kind of the items, known for no items too; OT_TENSOR where the file does not say */
} ot_item;
/* A file that holds one value of this kind: TensorProto, SequenceProto, OptionalProto or MapProto, which the file
 * itself does not tell.  Sparse tensors become dense.  OT_EIO; OT_EDATA: no such value, or a damaged one. */
OT_API ot_status ot_item_file_read(ot_item **out, const char *path, ot_kind kind);
/* OT_EARG: items of several kinds in a sequence, keys that do not fit, a tensor that is missing. */
OT_API ot_status ot_item_file_write(const char *path, const ot_item *v);
OT_API void ot_item_free(ot_item *v);

/* ---- Surgery ----------------------------------------------------------------------------------------------- */

/* Each of these changes the model all or not at all, in the model's own opset.  Names got from it before are gone. */

/* Told of something that is probably not meant; one line. */
typedef void ot_warning(void *ctx, const char *text);

/* Drops the layers from `where` on; the value that they hung on becomes the only output.  `where` is a layer's index
 * ("12"; "-3": the last three), its name, or a prefix of names.  OT_EARG: no such layer, or more than one value passes
 * there. */
OT_API ot_status ot_model_cut(ot_model *m, const char *where);
/* Appends layers to the only output: "conv 2 3x3 pad=1; gap; flatten; logsoftmax".  Weights and biases are uniform in
 * +-1/sqrt(fan-in), drawn by seed and parameter name.  warn may be NULL.
 * OT_EARG: a mistake in the text, with the character; a layer that does not fit what comes before. */
OT_API ot_status ot_model_append(ot_model *m, const char *layers, uint64_t seed, ot_warning *warn, void *ctx);
/* Renames a value or node.  OT_EARG: there is none, or the new name is taken. */
OT_API ot_status ot_model_rename(ot_model *m, const char *old, const char *fresh);
/* The first dimension of inputs and outputs becomes a number or a name ("4", "N"); a Reshape that has the old number in
 * its target is freed of it. */
OT_API ot_status ot_model_set_batch(ot_model *m, const char *batch);

typedef struct ot_export_opts {
    bool fold_bn;      /* BatchNormalization goes into the Conv before it */
    bool with_softmax; /* the only output becomes probabilities over axis 1 */
    const char *batch; /* as ot_model_set_batch; NULL: as it is */
    int64_t opset;     /* a newer one of ai.onnx; 0: as it is */
} ot_export_opts;
#define OT_EXPORT_INIT                                                                                                 \
    {                                                                                                                  \
        false, false, NULL, 0                                                                                          \
    }
/* Makes the finished model for others: Dropout goes, BatchNormalization uses its statistics, training_info goes.
 * OT_EUNSUPPORTED names a node that exists for training only, or that has no form at the newer opset. */
OT_API ot_status ot_model_export(ot_model *m, const ot_export_opts *opts);
/* Saves with all initializers of 1 KiB or more in the file `data` (a plain name) in the folder of `path`, each at a
 * multiple of 4096 bytes.  The data file is in place before the model is.  Over the files of m itself is fine. */
OT_API ot_status ot_model_save_external(const ot_model *m, const char *path, const char *data);

/* ---- Layers: what freezing, cutting and learning rates count by ---------------------------------------------- */

/* The nodes of the main graph in file order, Constant and Identity left out. */
typedef struct ot_layers ot_layers;

typedef struct ot_layer_info {
    const char *name; /* the node's; that of its first output where it has none */
    const char *op, *domain;
    const char *output; /* the name of its first output */
    const char *shape;  /* of its first output, as "float[N,64,56,56]"; "" when it is not known */
    int64_t parameters; /* elements of its weights: floating, more than one element, no running statistic */
} ot_layer_info;

/* Shapes are over the model's own dimensions, or for n inputs by name with these dims (types and data are not looked
 * at).  A model with missing operators, or one whose shapes do not fit, has a table too: see ot_layers_problem.  The
 * model must outlive it, unchanged.  OT_EARG, OT_ESHAPE: the given shapes; OT_ENOMEM. */
OT_API ot_status ot_layers_open(ot_layers **out, const ot_model *m, const char *const *name, const ot_tensor *shape,
                                int64_t n);
OT_API void ot_layers_close(ot_layers *l);
OT_API int64_t ot_layers_count(const ot_layers *l);
/* NULL when i is out of range. */
OT_API const ot_layer_info *ot_layers_get(const ot_layers *l, int64_t i);
/* Of all layers; a weight that several share counts once. */
OT_API int64_t ot_layers_parameters(const ot_layers *l);
/* NULL, or why the model cannot run: all missing operators at once. */
OT_API const char *ot_layers_problem(const ot_layers *l);
/* Type and shape of any value of the graph as "float[N,3,224,224]"; "" when not known. */
OT_API const char *ot_layers_value(ot_layers *l, const char *name);

/* ---- Sessions: running a model ------------------------------------------------------------------------------------
 */

/* A model made ready to run.  It plans each new set of input shapes once and keeps the plans.  A large batch of a model
 * that treats each sample by itself runs in parts.  The model must outlive the session, and may not be edited
 * meanwhile. */
typedef struct ot_session ot_session;

typedef struct ot_session_options {
    int threads;               /* 0: the physical cores that this process may use */
    size_t memory;             /* cap in bytes on activations, work space and packed weights; 0: none */
    const char *const *values; /* names of values of the graph to give back instead of the model's outputs */
    int64_t n_values;          /* 0: the outputs */
    bool keep_batch;           /* a literal leading 1 of the inputs stays; else any batch is taken where that can be */
    bool no_fusion;            /* every node as the document has it */
    const char *const *given; /* inputs with a default (ot_model_default_name) that the caller will give all the same */
    int64_t n_given;
    bool timed;    /* each step's time is taken, for ot_session_step */
    int64_t trips; /* through the bodies of Loop, Scan and SequenceMap, that one run may make; 0: 2^24 */
} ot_session_options;
#define OT_SESSION_INIT                                                                                                \
    {                                                                                                                  \
        0, 0, NULL, 0, false, false, NULL, 0, false, 0                                                                 \
    }

/* OT_EUNSUPPORTED lists every operator that is missing. */
OT_API ot_status ot_session_create(ot_session **out, const ot_model *m, const ot_session_options *opts);
OT_API void ot_session_close(ot_session *s);

/* Inputs and outputs in the model's order; the i-th name is NULL when i is out of range. */
OT_API int64_t ot_session_input_count(const ot_session *s);
OT_API int64_t ot_session_output_count(const ot_session *s);
OT_API const char *ot_session_input_name(const ot_session *s, int64_t i);
OT_API const char *ot_session_output_name(const ot_session *s, int64_t i);
/* What input i accepts: a view without data, whose dims are -1 where any size is taken; rank -1: any. */
OT_API ot_status ot_session_input(const ot_session *s, int64_t i, ot_tensor *out);

/* Plans for inputs of these types and shapes.  Data is looked at only where a shape depends on it, and may be NULL.
 * OT_ESHAPE, OT_ENOMEM (the cap), OT_EUNSUPPORTED (a shape depends on data that is not there). */
OT_API ot_status ot_session_prepare(ot_session *s, const ot_tensor *inputs, int64_t n);
/* Runs on one tensor an input, in the session's order; plans first when the shapes, or data that shapes depend on, are
 * new. */
OT_API ot_status ot_session_run(ot_session *s, const ot_tensor *inputs, int64_t n);
/* Output i of the last run: a view, valid until the next run or prepare. */
OT_API const ot_tensor *ot_session_output(const ot_session *s, int64_t i);

/* What kind of value input or output i is; OT_TENSOR when i is out of range. */
OT_API ot_kind ot_session_input_kind(const ot_session *s, int64_t i);
OT_API ot_kind ot_session_output_kind(const ot_session *s, int64_t i);
/* As ot_session_run, with inputs of any kind. */
OT_API ot_status ot_session_run_items(ot_session *s, const ot_item *const *inputs, int64_t n);
/* Output i of the last run, of any kind: a view, as ot_session_output gives of tensors; NULL before a run. */
OT_API const ot_item *ot_session_output_item(const ot_session *s, int64_t i);

typedef struct ot_memory {
    size_t weights;     /* constants that the steps read: in the mapped file, or copies of what lay unaligned there */
    size_t state;       /* parameters that train, moments, statistics */
    size_t packed;      /* weights in the kernels' own form */
    size_t activations; /* one arena for all values */
    size_t workspace;   /* of the largest step */
    int64_t steps;      /* kernels that run */
} ot_memory;
/* Of the plan that was made last; OT_EARG when none was. */
OT_API ot_status ot_session_memory(const ot_session *s, ot_memory *out);
typedef struct ot_step_info {
    const char *node, *op, *kernel;
    int64_t output[4]; /* the dims of its first output, the last four at most, 1 in front */
    double seconds;    /* of its fastest run; 0 without the option `timed` */
    double macs;       /* multiply-adds of a convolution or matrix product by its definition; 0: not counted */
    double parts; /* 1: the batch runs whole; else seconds and macs are a part's times this, and output is a part's */
} ot_step_info;
/* Step i of the plan that was used last, in the order in which they run; OT_EARG when there is no such step. */
OT_API ot_status ot_session_step(const ot_session *s, int64_t i, ot_step_info *out);
/* The last plan as text, a line a step: node, operator, shapes, kernel, place, and why a faster kernel declined.  The
 * caller frees it with ot_text_free. */
OT_API ot_status ot_session_explain(char **out, const ot_session *s);
OT_API void ot_text_free(char *text);

/* ==== Data (pictures, tensor files, data sets, loader) ======================================================= */

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

/* ==== end of Data ============================================================================================ */

/* ==== Training ================================================================================================= */

typedef enum ot_optimizer { OT_SGD, OT_ADAM, OT_ADAMW, OT_ADAGRAD, OT_RMSPROP } ot_optimizer; /* as PyTorch's */

/* AUTO: cross-entropy of a classifier, whether the model ends in LogSoftmax, Softmax or plain scores. */
typedef enum ot_loss { OT_LOSS_AUTO, OT_LOSS_CROSS_ENTROPY, OT_LOSS_NLL, OT_LOSS_MSE, OT_LOSS_BCE } ot_loss;

typedef enum ot_schedule_kind {
    OT_CONSTANT,  /* the rate as it is */
    OT_SGDR,      /* cosine from the rate to lr_min within each cycle, then a restart */
    OT_ONE_CYCLE, /* up to the rate over the first 30 % of the steps, then down to lr_min, both as a cosine */
    OT_STEP       /* the rate times decay after each decay_every epochs */
} ot_schedule_kind;

/* Features of the frozen part (all before the first layer that trains, or the first Dropout) may be computed once for
 * each sample and kept.  Results have the same bits with and without.  AUTO: in memory, where samples are the same in
 * every epoch, that saves work, and there is room. */
typedef enum ot_cache { OT_CACHE_AUTO, OT_CACHE_OFF, OT_CACHE_MEMORY, OT_CACHE_DISK } ot_cache;

#define OT_MAX_GROUPS 16 /* of layers with a rate of their own */

typedef struct ot_train_options {
    /* What trains.  A layer is a number (negative from the end), a name or a prefix, as in `show`. */
    const char *freeze_to;    /* layers before this one are frozen; NULL: none is */
    bool bn_freeze;           /* BatchNormalization keeps its running statistics everywhere */
    const char *const *train; /* names of initializers that train whatever freeze_to says */
    int64_t n_train;
    const char *const *no_train; /* and of ones that do not */
    int64_t n_no_train;

    /* Rates and decays of the layer groups, first to last; one for all, or one a group. */
    double lr[OT_MAX_GROUPS], wd[OT_MAX_GROUPS];
    int n_lr, n_wd;
    int64_t groups[OT_MAX_GROUPS]; /* the layer at which group 1, 2, ... begins */
    int n_groups;                  /* how many such layers; 0: split at the head and at half of the body's parameters */

    ot_optimizer optimizer;
    double momentum, dampening; /* SGD, RMSprop */
    bool nesterov;
    double beta1, beta2, alpha, eps; /* Adam's betas, RMSprop's smoothing, all adaptive ones' epsilon (0: PyTorch's) */
    double clip;                     /* largest norm of all gradients together; 0: not clipped */

    ot_loss loss;
    double label_smoothing; /* 0 .. 1, cross-entropy only */

    ot_schedule_kind schedule;
    int64_t epochs;                        /* of CONSTANT, ONE_CYCLE, STEP */
    int64_t steps;                         /* instead of epochs, when over 0 */
    int64_t cycles, cycle_len, cycle_mult; /* SGDR: epochs of the first cycle, and how each next one grows */
    int64_t cycle_steps; /* SGDR, over 0: steps of the first cycle, whatever an epoch has; `epochs` ends the run */
    bool compat_2017; /* SGDR as fastai had it in 2017: the rate is a hundredth in the first 20th of the first cycle */
    double lr_min;
    int64_t warmup;      /* steps over which the rate rises from a hundredth, at the very start */
    int64_t decay_every; /* epochs */
    double decay;

    int64_t batch, accumulate; /* samples of a batch; batches whose gradients make one step */
    bool augment;              /* as ot_dataset.load */
    uint64_t seed;
    int threads;   /* of the arithmetic; 0: the physical cores */
    int loaders;   /* threads that load; 0: as many as fit */
    size_t memory; /* cap in bytes; 0: none */

    const char *checkpoint; /* folder for checkpoints; NULL: none are written */
    const char *resume;     /* folder to go on from; NULL: a fresh start */
    bool keep_best; /* the model ends as it was after the epoch with the best accuracy; else as after the last */
    bool timed;     /* each kernel's time is taken, for ot_trainer_step */

    ot_cache cache;
    int64_t cache_variants; /* with augment: epoch e sees the samples of epoch e % cache_variants, which can be kept;
                               0: every epoch is new */
} ot_train_options;
/* SGD with momentum .9, rate .01, one epoch of batches of 64, seed 42. */
#define OT_TRAIN_INIT                                                                                                  \
    {                                                                                                                  \
        .lr = { 0.01 }, .n_lr = 1, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .alpha = 0.99, .epochs = 1,          \
        .cycles = 1, .cycle_len = 1, .cycle_mult = 1, .decay_every = 1, .decay = 0.1, .batch = 64, .accumulate = 1,    \
        .augment = true, .seed = 42                                                                                    \
    }

typedef enum ot_event_kind {
    OT_TRAIN_BEGIN,
    OT_EPOCH_BEGIN,
    OT_BATCH_BEGIN,
    OT_BATCH_END,
    OT_CYCLE_END, /* SGDR: the step that ends a cycle was done */
    OT_EPOCH_END, /* validated, if there are samples for it */
    OT_SAVED,     /* a checkpoint was written: path */
    OT_TRAIN_END,
    OT_CACHING /* before the first epoch: the features of `batch` of `batches` samples are there */
} ot_event_kind;

typedef struct ot_event {
    ot_event_kind kind;
    int64_t epoch, epochs;             /* from 0; in all */
    int64_t step, steps;               /* done so far; in all */
    int64_t batch, batches;            /* within the epoch */
    double loss;                       /* debiased moving average (.98) since the run began */
    double batch_loss;                 /* of the last batch */
    double lr;                         /* of the last group, at this step */
    double grad_norm;                  /* of all gradients together, before clipping */
    bool skipped;                      /* the gradients were not finite and nothing was changed */
    double valid_loss, valid_accuracy; /* EPOCH_END: weighted by samples; NaN without samples */
    double valid_loss_unweighted;      /* the plain mean over batches, as the course logged it */
    double seconds;                    /* since the run began */
    double waited;                     /* share of the epoch's time in which the step waited for data */
    const char *path;                  /* SAVED */
} ot_event;

/* Returns false to stop after this batch: state is saved and OT_ESTOPPED returned. */
typedef bool ot_on_event(void *ctx, const ot_event *e);

typedef struct ot_trainer ot_trainer;

/* The model and the data set must outlive the trainer.  Builds and plans the step: all missing gradients are reported
 * at once, and a model whose output does not fit the number of classes. */
OT_API ot_status ot_trainer_create(ot_trainer **out, ot_model *m, const ot_dataset *d, const ot_train_options *o);
OT_API void ot_trainer_close(ot_trainer *t);
/* Trains; on_event may be NULL.  Afterwards, and after OT_ESTOPPED, the model holds the trained weights. */
OT_API ot_status ot_trainer_run(ot_trainer *t, ot_on_event *on_event, void *ctx);
/* Safe in signal handlers and other threads: finish the batch, save, return OT_ESTOPPED; and: save after this batch. */
OT_API void ot_trainer_stop(ot_trainer *t);
OT_API void ot_trainer_snapshot(ot_trainer *t);

/* A copy of the model with the weights as they are now, also from within an event.  Close it with ot_model_close. */
OT_API ot_status ot_trainer_model(ot_model **out, const ot_trainer *t);

/* What trains and how, before anything runs. */
typedef struct ot_train_plan {
    int64_t layers, first_layer; /* of the document; the first that trains */
    int64_t parameters, trained; /* elements */
    int64_t groups;
    int64_t group_layer[OT_MAX_GROUPS]; /* the first layer of each */
    int64_t batchnorms, bn_training;    /* BatchNormalization layers, and those that update their statistics */
    int64_t epochs, steps, batches;     /* batches: of an epoch */
    ot_memory memory;                   /* of the step at the nominal batch */
} ot_train_plan;
/* Known from ot_trainer_create on. */
OT_API ot_status ot_trainer_plan(const ot_trainer *t, ot_train_plan *out);
/* The step as text, a line a kernel, as ot_session_explain; free with ot_text_free. */
OT_API ot_status ot_trainer_explain(char **out, const ot_trainer *t);
/* Kernel i of a training step, as ot_session_step; with accumulate over 1 of the batch that ends one. */
OT_API ot_status ot_trainer_step(const ot_trainer *t, int64_t i, ot_step_info *out);
/* Whether features of the frozen part are kept. */
typedef struct ot_cache_info {
    ot_cache mode;    /* OFF, MEMORY or DISK */
    const char *why;  /* OFF: the reason, as half a sentence; "" where nothing is frozen; else NULL */
    int64_t layers;   /* the frozen part ends before this one; 0: there is none */
    int64_t floats;   /* that are kept of a sample */
    int64_t samples;  /* that are kept, a variant counted as one */
    int64_t variants; /* of a sample for training */
    size_t bytes;     /* of all */
    /* After ot_trainer_run: */
    int64_t found;  /* samples whose features an earlier run had left on the disk */
    int64_t served; /* samples that training and validation did not have to compute */
    double filled;  /* seconds that filling took */
    double saved;   /* seconds saved in all, filling subtracted, by the time that a computed one took; 0: none was */
} ot_cache_info;
/* Decided by ot_trainer_create. */
OT_API void ot_trainer_cache(const ot_trainer *t, ot_cache_info *out);
/* NONE: the layer is no BatchNormalization; FROZEN: it uses its running statistics; TRAINS: it updates them. */
typedef enum ot_bn_mode { OT_BN_NONE, OT_BN_FROZEN, OT_BN_TRAINS } ot_bn_mode;
/* Of one layer of the document, counted from 0. */
OT_API bool ot_trainer_layer_trains(const ot_trainer *t, int64_t layer);
OT_API ot_bn_mode ot_trainer_layer_bn(const ot_trainer *t, int64_t layer);
OT_API double ot_trainer_layer_lr(const ot_trainer *t, int64_t layer); /* 0 when it does not train */

/* ---- Evaluation ---- */

typedef struct ot_eval_options {
    int split; /* OT_VALID or OT_TRAIN */
    int64_t batch;
    int tta; /* augmented passes beside the plain ones: the mean of probabilities, 1 plain to 4 augmented */
    uint64_t seed;
    int threads;
    int loaders;
    size_t memory;
    bool (*progress)(void *ctx, int64_t done, int64_t total); /* may be NULL; false stops: OT_ESTOPPED */
    void *ctx;
} ot_eval_options;
#define OT_EVAL_INIT                                                                                                   \
    {                                                                                                                  \
        .split = OT_VALID, .batch = 64, .seed = 42                                                                     \
    }

typedef struct ot_eval_result {
    int64_t samples, classes, correct;
    double loss, accuracy; /* mean cross-entropy over the samples */
    int64_t *confusion;    /* [classes][classes]: row = true class, column = predicted */
    int64_t *predicted;    /* [samples] */
    int64_t *labels;       /* [samples] */
    float *probability;    /* [samples][classes] */
} ot_eval_result;
/* Runs a split through the model as in inference; any trained or downloaded classifier.  Release the result. */
OT_API ot_status ot_evaluate(ot_eval_result *out, const ot_model *m, const ot_dataset *d, const ot_eval_options *o);
OT_API void ot_eval_result_release(ot_eval_result *r);

/* ---- Finding a rate ---- */

typedef struct ot_lr_find_options {
    double from, to; /* the rate grows exponentially from one to the other */
    int64_t steps;   /* 0: one epoch, 100 at least */
    double stop_at;  /* ends when the smoothed loss passes this many times the best */
} ot_lr_find_options;
#define OT_LR_FIND_INIT                                                                                                \
    {                                                                                                                  \
        1e-5, 10, 0, 4                                                                                                 \
    }
typedef struct ot_lr_find_result {
    int64_t n;
    double *lr, *loss; /* [n]: the rate of the last group, and the debiased loss */
    double suggested;  /* the rate at the steepest fall; 0 when the loss never fell */
} ot_lr_find_result;
/* The model's weights are left as they were. */
OT_API ot_status ot_lr_find(ot_lr_find_result *out, ot_model *m, const ot_dataset *d, const ot_train_options *train,
                            const ot_lr_find_options *o, ot_on_event *on_event, void *ctx);
OT_API void ot_lr_find_result_release(ot_lr_find_result *r);

/* The step (forward, loss, gradients, optimiser) as a graph that Netron shows; not meant to be run. */
OT_API ot_status ot_trainer_save_graph(const ot_trainer *t, const char *path);

/* ==== end of Training ========================================================================================== */

#ifdef __cplusplus
}
#endif
#endif
