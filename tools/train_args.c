#include "train_args.h"
#include "output.h"
#include "progress.h"

#include <math.h>
#include <string.h>

/* ---- The training block ------------------------------------------------------------------------------------- */

enum {
    FREEZE_TO = OT_KEY_TRAIN,
    UNFREEZE,
    BN_FREEZE,
    TRAIN,
    NO_TRAIN,
    LR,
    WD,
    GROUPS,
    OPTIMIZER,
    MOMENTUM,
    NESTEROV,
    DAMPENING,
    BETAS,
    EPS,
    CLIP,
    LOSS,
    SMOOTHING,
    EPOCHS,
    CYCLES,
    CYCLE_LEN,
    CYCLE_MULT,
    CYCLE_STEPS,
    COMPAT,
    ONE_CYCLE,
    DECAY_EVERY,
    DECAY,
    STEPS,
    LR_MIN,
    WARMUP,
    BATCH,
    ACCUMULATE,
    LOADERS,
    CACHE,
    VARIANTS
};

static const struct argp_option train_options[] = {
    { NULL, 0, NULL, 0, "What trains:", 10 },
    { "freeze-to", FREEZE_TO, "N|NODE", 0,
      "layers before this one keep their weights: an index as in `show`, -4 from the end, a name or prefix (default: "
      "none)",
      0 },
    { "unfreeze", UNFREEZE, NULL, 0, "all layers train, whatever --freeze-to said before", 0 },
    { "bn-freeze", BN_FREEZE, NULL, 0, "BatchNormalization keeps its running statistics everywhere", 0 },
    { "train", TRAIN, "NAME", 0, "this weight trains all the same; repeatable", 0 },
    { "no-train", NO_TRAIN, "NAME", 0, "this weight does not train; repeatable", 0 },
    { NULL, 0, NULL, 0, "Rate, optimiser, loss:", 20 },
    { "lr", LR, "A[,B,C]", 0, "rate; several: of the layer groups, first to last (default: .01)", 0 },
    { "wd", WD, "A[,B,C]", 0, "weight decay, likewise (default: 0)", 0 },
    { "groups", GROUPS, "N,N", 0,
      "the layers at which groups 2, 3, ... begin (default: at half of the body's parameters and at the head)", 0 },
    { "optimizer", OPTIMIZER, "NAME", 0, "sgd, adam, adamw, adagrad or rmsprop (default: sgd)", 0 },
    { "momentum", MOMENTUM, "M", 0, "of sgd and rmsprop, 0..1 (default: .9; rmsprop: 0)", 0 },
    { "nesterov", NESTEROV, NULL, 0, "Nesterov's momentum", 0 },
    { "dampening", DAMPENING, "D", 0, "of sgd's momentum, 0..1 (default: 0)", 0 },
    { "betas", BETAS, "B1,B2", 0, "of adam and adamw (default: .9,.999)", 0 },
    { "eps", EPS, "E", 0, "added to the denominator of adaptive optimisers (default: 1e-8; adagrad: 1e-10)", 0 },
    { "clip", CLIP, "NORM", 0, "largest norm of all gradients together (default: not clipped)", 0 },
    { "loss", LOSS, "NAME", 0, "auto, cross-entropy, nll, mse or bce (default: auto, by the model's last layer)", 0 },
    { "label-smoothing", SMOOTHING, "S", 0, "share of each label spread over all classes, 0..1 (default: 0)", 0 },
    { NULL, 0, NULL, 0, "How long:", 30 },
    { "epochs", EPOCHS, "N", 0, "at a constant rate (default: 1)", 0 },
    { "cycles", CYCLES, "N", 0, "instead: this many cosine cycles with restarts (SGDR)", 0 },
    { "cycle-len", CYCLE_LEN, "N", 0, "epochs of the first cycle (default: 1)", 0 },
    { "cycle-mult", CYCLE_MULT, "N", 0, "each cycle is this many times as long as the one before (default: 1)", 0 },
    { "cycle-steps", CYCLE_STEPS, "N", 0,
      "instead, with --epochs: the first cycle has N steps, whatever an epoch has; --cycle-mult as above", 0 },
    { "compat", COMPAT, "WHAT", 0,
      "fastai-2017: the rate is a hundredth in the first 20th of the first cycle, as that library had it (default: "
      "off)",
      0 },
    { "one-cycle", ONE_CYCLE, "N", 0, "instead: one cycle of N epochs, up to the rate and down", 0 },
    { "decay-every", DECAY_EVERY, "N", 0, "with --epochs: the rate is multiplied by --decay after each N epochs", 0 },
    { "decay", DECAY, "F", 0, "that factor, 0..1 (default: .1)", 0 },
    { "steps", STEPS, "N", 0, "stop after this many steps (default: whole epochs)", 0 },
    { "lr-min", LR_MIN, "A", 0, "rate at the end of a cycle (default: 0)", 0 },
    { "warmup", WARMUP, "N", 0, "steps over which the rate rises at the start (default: 0)", 0 },
    { "batch", BATCH, "N", 0, "pictures of a batch (default: 64)", 0 },
    { "accumulate", ACCUMULATE, "N", 0, "batches whose gradients make one step (default: 1)", 0 },
    { "cache", CACHE, "WHERE", 0,
      "keep what the frozen layers make of each picture: memory, disk, off or auto (default: auto, in memory where "
      "pictures are the same in each epoch, it saves time and there is room)",
      0 },
    { "cache-variants", VARIANTS, "K", 0,
      "augmentation makes K variants of each picture, which can be kept, instead of a new one in each epoch", 0 },
    { "loaders", LOADERS, "N", 0, "threads that load pictures (default: as many as fit)", 0 },
    { 0 }
};

static error_t parse_what(int key, char *arg, ot_train_args *a)
{
    switch (key) {
    case FREEZE_TO:
        a->o.freeze_to = arg;
        return 0;
    case UNFREEZE:
        a->o.freeze_to = NULL;
        return 0;
    case BN_FREEZE:
        a->o.bn_freeze = true;
        return 0;
    case TRAIN:
        ot_strings_add(&a->train, arg);
        return 0;
    case NO_TRAIN:
        ot_strings_add(&a->no_train, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void parse_betas(const struct argp_state *state, const char *arg, ot_train_options *o)
{
    double v[2];
    if (ot_arg_reals(state, "betas", arg, 0, 0.999999999, 2, v) != 2)
        ot_usage(state, "--betas: '%s' is one number, two are wanted", arg);
    o->beta1 = v[0];
    o->beta2 = v[1];
}

static error_t parse_optimizer(int key, char *arg, const struct argp_state *state, ot_train_args *a)
{
    static const char *const optimizers[] = { "sgd", "adam", "adamw", "adagrad", "rmsprop", NULL };
    static const char *const losses[] = { "auto", "cross-entropy", "nll", "mse", "bce", NULL };
    ot_train_options *o = &a->o;
    switch (key) {
    case LR:
        o->n_lr = ot_arg_reals(state, "lr", arg, 0, 1e6, OT_MAX_GROUPS, o->lr);
        return 0;
    case WD:
        o->n_wd = ot_arg_reals(state, "wd", arg, 0, 1e6, OT_MAX_GROUPS, o->wd);
        return 0;
    case GROUPS:
        o->n_groups = ot_arg_ints(state, "groups", arg, -1000000, 1000000, OT_MAX_GROUPS - 1, o->groups);
        return 0;
    case OPTIMIZER:
        o->optimizer = (ot_optimizer)ot_arg_word(state, "optimizer", arg, optimizers);
        return 0;
    case MOMENTUM:
        o->momentum = ot_arg_real(state, "momentum", arg, 0, 1);
        a->momentum = true;
        return 0;
    case NESTEROV:
        o->nesterov = true;
        return 0;
    case DAMPENING:
        o->dampening = ot_arg_real(state, "dampening", arg, 0, 1);
        return 0;
    case BETAS:
        parse_betas(state, arg, o);
        return 0;
    case EPS:
        o->eps = ot_arg_real(state, "eps", arg, 1e-30, 1);
        return 0;
    case CLIP:
        o->clip = ot_arg_real(state, "clip", arg, 1e-30, 1e30);
        return 0;
    case LOSS:
        o->loss = (ot_loss)ot_arg_word(state, "loss", arg, losses);
        return 0;
    case SMOOTHING:
        o->label_smoothing = ot_arg_real(state, "label-smoothing", arg, 0, 1);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

#define MOST 1000000000

static error_t parse_length(int key, char *arg, const struct argp_state *state, ot_train_args *a)
{
    static const char *const compats[] = { "fastai-2017", NULL };
    static const char *const places[] = { "auto", "off", "memory", "disk", NULL };
    ot_train_options *o = &a->o;
    switch (key) {
    case CACHE:
        o->cache = (ot_cache)ot_arg_word(state, "cache", arg, places);
        return 0;
    case VARIANTS:
        o->cache_variants = ot_arg_int(state, "cache-variants", arg, 1, 1000000);
        return 0;
    case EPOCHS:
        o->epochs = ot_arg_int(state, "epochs", arg, 1, MOST);
        a->epochs = true;
        return 0;
    case CYCLES:
        o->cycles = ot_arg_int(state, "cycles", arg, 1, MOST);
        a->cycles = true;
        return 0;
    case CYCLE_LEN:
        o->cycle_len = ot_arg_int(state, "cycle-len", arg, 1, MOST);
        a->cycle_len = true;
        return 0;
    case CYCLE_MULT:
        o->cycle_mult = ot_arg_int(state, "cycle-mult", arg, 1, MOST);
        a->cycle_mult = true;
        return 0;
    case CYCLE_STEPS:
        o->cycle_steps = ot_arg_int(state, "cycle-steps", arg, 1, MOST);
        a->cycle_steps = true;
        return 0;
    case COMPAT:
        ot_arg_word(state, "compat", arg, compats);
        o->compat_2017 = true;
        return 0;
    case ONE_CYCLE:
        o->epochs = ot_arg_int(state, "one-cycle", arg, 1, MOST);
        a->one_cycle = true;
        return 0;
    case DECAY_EVERY:
        o->decay_every = ot_arg_int(state, "decay-every", arg, 1, MOST);
        a->decays = true;
        return 0;
    case DECAY:
        o->decay = ot_arg_real(state, "decay", arg, 0, 1);
        a->decay_factor = true;
        return 0;
    case STEPS:
        o->steps = ot_arg_int(state, "steps", arg, 1, MOST);
        return 0;
    case LR_MIN:
        o->lr_min = ot_arg_real(state, "lr-min", arg, 0, 1e6);
        return 0;
    case WARMUP:
        o->warmup = ot_arg_int(state, "warmup", arg, 0, MOST);
        return 0;
    case BATCH:
        o->batch = ot_arg_int(state, "batch", arg, 1, 1000000);
        return 0;
    case ACCUMULATE:
        o->accumulate = ot_arg_int(state, "accumulate", arg, 1, 1000000);
        return 0;
    case LOADERS:
        o->loaders = (int)ot_arg_int(state, "loaders", arg, 1, 256);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What options mean together. */
static void settle(const struct argp_state *state, ot_train_args *a)
{
    if (a->cycles + a->one_cycle + a->epochs > 1)
        ot_usage(state, "--epochs, --cycles and --one-cycle exclude each other");
    if (a->cycle_steps && (a->cycles || a->one_cycle))
        ot_usage(state, "--cycle-steps goes with --epochs, not with --cycles or --one-cycle");
    if ((a->cycle_len && !a->cycles) || (a->cycle_mult && !a->cycles && !a->cycle_steps))
        ot_usage(state, "--cycle-len and --cycle-mult belong to --cycles N");
    if (a->o.compat_2017 && !a->cycles && !a->cycle_steps)
        ot_usage(state, "--compat belongs to --cycles N or --cycle-steps N");
    if ((a->decays && (a->cycles || a->cycle_steps || a->one_cycle)) || (a->decay_factor && !a->decays))
        ot_usage(state, "--decay belongs to --decay-every N, and that to --epochs or --steps");
    if (a->o.nesterov && (a->o.optimizer != OT_SGD || a->o.momentum == 0 || a->o.dampening != 0))
        ot_usage(state, "--nesterov wants sgd with a momentum and no dampening");
    if (a->o.optimizer == OT_RMSPROP && !a->momentum)
        a->o.momentum = 0; /* as PyTorch's */
    a->o.schedule = a->cycles || a->cycle_steps ? OT_SGDR
                    : a->one_cycle              ? OT_ONE_CYCLE
                    : a->decays                 ? OT_STEP
                                                : OT_CONSTANT;
}

static error_t parse_train(int key, char *arg, struct argp_state *state)
{
    ot_train_args *a = state->input;
    if (key == ARGP_KEY_END) {
        settle(state, a);
        return 0;
    }
    error_t e = parse_what(key, arg, a);
    if (e == ARGP_ERR_UNKNOWN)
        e = parse_optimizer(key, arg, state, a);
    return e == ARGP_ERR_UNKNOWN ? parse_length(key, arg, state, a) : e;
}

const struct argp ot_train_argp = { .options = train_options, .parser = parse_train };

ot_train_options ot_train_options_from_args(ot_train_args *a, const ot_common_args *common)
{
    ot_train_options o = a->o;
    o.train = a->train.s;
    o.n_train = (int64_t)a->train.n;
    o.no_train = a->no_train.s;
    o.n_no_train = (int64_t)a->no_train.n;
    o.seed = common->seed;
    o.threads = common->threads;
    o.memory = common->memory;
    return o;
}

/* ---- The data block ----------------------------------------------------------------------------------------- */

enum { DATA = OT_KEY_DATA, AUGMENT, ZOOM, VALID_FRACTION, CHANNEL_STATS };

static const struct argp_option data_options[] = {
    { "data", DATA, "DIR", 0,
      "DIR/train/CLASS/*.jpg and DIR/valid/CLASS/*.jpg (png, bmp, ppm too), DIR/CLASS/* or CIFAR-10's .bin files "
      "(needed)",
      1 },
    { NULL, 0, NULL, 0, "Augmentation and validation:", 55 },
    { "augment", AUGMENT, "HOW", 0, "none, side-on, top-down or crop-flip (default: side-on)", 0 },
    { "zoom", ZOOM, "Z", 0, "largest enlargement by augmentation (default: 1.1)", 0 },
    { "channel-stats", CHANNEL_STATS, NULL, 0,
      "mean and deviation of each channel are measured on the training pictures, in place of --mean and --std", 0 },
    { "valid-fraction", VALID_FRACTION, "F", 0, "without a valid folder: the share that validates (default: .2)", 0 },
    { 0 }
};

static error_t parse_data(int key, char *arg, struct argp_state *state)
{
    static const char *const ways[] = { "none", "side-on", "top-down", "crop-flip", NULL };
    ot_data_args *a = state->input;
    switch (key) {
    case DATA:
        a->dir = arg;
        return 0;
    case AUGMENT:
        a->augment = (ot_augment)ot_arg_word(state, "augment", arg, ways);
        return 0;
    case ZOOM:
        a->zoom = ot_arg_real(state, "zoom", arg, 1, 10);
        return 0;
    case CHANNEL_STATS:
        a->channel_stats = true;
        return 0;
    case VALID_FRACTION:
        a->valid_fraction = ot_arg_real(state, "valid-fraction", arg, 0, 0.9);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ot_data_argp = { .options = data_options, .parser = parse_data };

static void warn(void *ctx, const char *text)
{
    ot_tool_warning("%s: %s", (const char *)ctx, text);
}

static void checked(void *ctx, int64_t done, int64_t total)
{
    (void)ctx;
    ot_progress_show(&(ot_progress_state){ "checking pictures", done, total, NAN, NAN, false });
}

static void say_channels(const ot_image_spec *s)
{
    ot_tool_note("channels: mean %.5g, %.5g, %.5g, deviation %.5g, %.5g, %.5g", (double)s->mean[0], (double)s->mean[1],
                 (double)s->mean[2], (double)s->std[0], (double)s->std[1], (double)s->std[2]);
}

ot_dataset *ot_open_data(const ot_data_args *a, ot_image_spec *spec, const ot_common_args *common, int *code)
{
    ot_folder_options o = OT_FOLDER_INIT;
    ot_dataset *d = NULL;
    o.augment = a->augment;
    o.zoom = (float)a->zoom;
    o.valid_fraction = a->valid_fraction;
    o.seed = common->seed;
    o.threads = common->threads;
    o.warn = warn;
    o.progress = checked;
    o.ctx = (void *)(uintptr_t)a->dir;
    ot_progress_begin();
    ot_status st = a->channel_stats ? ot_folder_statistics(spec, a->dir, &o) : OT_OK;
    o.spec = *spec;
    if (st == OT_OK)
        st = ot_folder_open(&d, a->dir, &o);
    ot_progress_begin();
    if (st == OT_OK && a->channel_stats)
        say_channels(spec);
    if (st != OT_OK) {
        ot_tool_failed(st, a->dir);
        *code = OT_EXIT_FAILED;
    }
    return d;
}
