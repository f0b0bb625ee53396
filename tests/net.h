/* Small networks, built node by node as documents, and data sets that live in memory, for tests of training. */
#ifndef OT_TESTS_NET_H
#define OT_TESTS_NET_H

#include "onnxtune.h"

/* A chain that is being built: each call appends nodes that read the last value and make the next.  Weights are drawn
 * from the seed, He's way.  The first failure sticks: net_done then returns NULL. */
typedef struct net {
    ot_model *m;
    uint64_t draws;
    int64_t channels; /* of the last value; its features after net_flatten */
    int64_t side;     /* height and width; 0 after net_flatten */
    int count;        /* numbers the nodes */
    char last[32];
    ot_status st;
} net;

/* An input x of [N, channels, side, side]; side 0: [N, channels]. */
net net_begin(int64_t channels, int64_t side, uint64_t seed);
void net_conv(net *n, int64_t channels, int64_t kernel, int64_t stride); /* with a bias; "same" padding */
void net_norm(net *n);
void net_relu(net *n);
void net_max_pool(net *n); /* 2 x 2 */
void net_gap(net *n);
void net_flatten(net *n);
void net_gemm(net *n, int64_t features);
void net_dropout(net *n, float ratio);
void net_log_softmax(net *n);
void net_softmax(net *n);
/* Add of the last value and an earlier one. */
void net_add(net *n, const char *earlier);
/* Names the last value as the output; the model is the caller's. */
ot_model *net_done(net *n);

/* conv 8 - bn - relu - pool - conv 12 - bn - relu - gap - flatten - gemm `classes` - logsoftmax on [N, 3, side, side];
 * without `norm` the two batch normalisations are left out.  Layers: 0 conv, 1 bn, 2 relu, 3 pool, 4 conv, 5 bn,
 * 6 relu, 7 gap, 8 flatten, 9 gemm, 10 logsoftmax. */
ot_model *net_small(int64_t side, int64_t classes, bool norm, uint64_t seed);

/* A data set of noisy patterns, one a class; augmentation adds noise of its own, keyed by (epoch, index). */
typedef struct patterns {
    ot_dataset d;
    uint64_t seed;
    float noise;
    int64_t poison;       /* this sample of the training split holds an infinity; -1: none */
    int64_t poison_epoch; /* only in this epoch, when augmented; -1: in all */
    int64_t skip_epoch;   /* augmented: this epoch's samples and later ones are those of the next epoch; -1: none */
    int64_t wait;         /* microseconds that each load takes */
} patterns;
/* Samples of [dim...]; p must stay where it is while p->d is used. */
void patterns_init(patterns *p, int64_t train, int64_t valid, int64_t classes, int rank, const int64_t *dim);

/* One epoch of batches of 16 in one thread, no augmentation, a rate of .05. */
ot_train_options net_options(void);
/* Creates, trains and closes; CHECKs that all of it works. */
bool net_train(ot_model *m, const ot_dataset *d, const ot_train_options *o, ot_on_event *on_event, void *ctx);

/* The initialiser's elements as a new tensor; ot_tensor_free. */
ot_tensor *net_weight(const ot_model *m, const char *name);
/* True when the initialiser holds the same bits in both. */
bool net_same(const ot_model *a, const ot_model *b, const char *name);
/* True when all initialisers do. */
bool net_all_same(const ot_model *a, const ot_model *b);

#endif
