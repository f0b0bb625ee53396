/* onnxtune.h: load an ONNX model, run it, change its head, fine-tune it, save it.  The header to include.
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

#ifdef __cplusplus
}
#endif

#include "onnxtune_data.h"

#include "onnxtune_train.h"

#endif
