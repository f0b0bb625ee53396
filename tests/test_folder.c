#define _XOPEN_SOURCE 700
#include "harness.h"
#include "pictures.h"
#include "base/alloc.h"
#include "train/dataset.h"

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 16

static bytes file;
static char root[512];
static char warnings[4096];

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s;
    (void)kind;
    (void)f;
    return remove(path);
}

/* An empty folder of this name as `root`, and a cache folder of its own. */
static void fresh(const char *name)
{
    char cache[600];
    snprintf(root, sizeof(root), "%s", test_tmp(name));
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    snprintf(cache, sizeof(cache), "%s.cache", root);
    nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    mkdir(root, 0777);
    setenv("XDG_CACHE_HOME", cache, 1);
}

/* "root/name", with all folders made. */
static const char *place(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0777);
        *p = '/';
    }
    return path;
}

static void add_picture(const char *name, int seed)
{
    static uint8_t rgb[24 * 20 * 3];
    pattern(rgb, 24, 20, seed);
    make_jpeg(&file, rgb, 24, 20);
    save(place(name), &file);
}

static void add_junk(const char *name)
{
    file.n = 9;
    memcpy(file.p, "not a jpg", 9);
    save(place(name), &file);
}

static void remember(void *ctx, const char *text)
{
    (void)ctx;
    size_t n = strlen(warnings);
    snprintf(warnings + n, sizeof(warnings) - n, "%s\n", text);
}

static ot_folder_options options(void)
{
    ot_folder_options o = OT_FOLDER_INIT;
    o.spec.size = SIZE;
    o.spec.resize = 18;
    o.threads = 2;
    o.warn = remember;
    warnings[0] = 0;
    return o;
}

static void train_and_valid(void)
{
    ot_dataset *d;
    ot_folder_options o = options();
    int64_t before = ot_live_blocks();
    fresh("folder-tv");
    add_picture("train/dogs/b.jpg", 1);
    add_picture("train/dogs/A.JPEG", 2);
    add_picture("train/cats/x y.Jpg", 3);
    add_picture("train/cats/\xc3\xa4\n%s.jpg", 4);
    add_picture("train/Zebra/1.jpg", 5);
    add_picture("valid/cats/v.jpg", 6);
    add_picture("train/cats/.hidden.jpg", 7);
    add_picture("train/cats/deeper/no.jpg", 8);
    add_junk("train/cats/notes.txt");
    CHECK(symlink("..", place("train/cats/loop")) == 0 && symlink("b.jpg", place("train/dogs/link.jpg")) == 0);
    CHECK(symlink(".", place("train/dogs/self.jpg")) == 0);
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "self.jpg: is a folder");
    remove(place("train/dogs/self.jpg"));
    if (!CHECK_OK(ot_folder_open(&d, root, &o)))
        return;
    static const char *const names[] = { "train/Zebra/1.jpg", "train/cats/x y.Jpg", "train/cats/\xc3\xa4\n%s.jpg",
                                         "train/dogs/A.JPEG", "train/dogs/b.jpg",   "train/dogs/link.jpg" };
    static const int64_t labels[] = { 0, 1, 1, 2, 2, 2 };
    CHECK(d->classes == 3 && d->count[OT_TRAIN] == 6 && d->count[OT_VALID] == 1);
    CHECK(strcmp(d->class_names[0], "Zebra") == 0 && strcmp(d->class_names[2], "dogs") == 0);
    for (int64_t i = 0; i < 6 && i < d->count[OT_TRAIN]; i++) {
        CHECK(strcmp(d->name(d->ctx, OT_TRAIN, i), names[i]) == 0);
        CHECK(d->label(d->ctx, OT_TRAIN, i) == labels[i]);
    }
    CHECK(d->label(d->ctx, OT_VALID, 0) == 1);
    int64_t count[3];
    CHECK_OK(ot_dataset_class_counts(d, OT_TRAIN, count));
    CHECK(count[0] == 1 && count[1] == 2 && count[2] == 3);
    ot_dataset_close(d);
    add_picture("valid/mice/m.jpg", 1);
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "'mice'");
    CHECK(ot_live_blocks() == before);
}

static void samples(void)
{
    static float a[3 * SIZE * SIZE], b[3 * SIZE * SIZE];
    ot_dataset *d;
    ot_tensor *t;
    int64_t label;
    ot_folder_options o = options();
    fresh("folder-samples");
    add_picture("train/a/1.jpg", 1);
    add_picture("train/b/2.jpg", 2);
    add_picture("valid/b/3.jpg", 3);
    if (!CHECK_OK(ot_folder_open(&d, root, &o)))
        return;
    CHECK(d->rank == 3 && d->dim[0] == 3 && d->dim[1] == SIZE && d->dim[2] == SIZE);
    CHECK_OK(d->load(d->ctx, OT_VALID, 0, false, 0, a, &label));
    CHECK_OK(ot_image_load(&t, place("valid/b/3.jpg"), &o.spec));
    CHECK(label == 1 && t && memcmp(t->data, a, sizeof(a)) == 0);
    ot_tensor_free(t);
    CHECK_OK(d->load(d->ctx, OT_TRAIN, 1, true, 4, a, &label));
    CHECK_OK(d->load(d->ctx, OT_TRAIN, 1, true, 4, b, &label));
    CHECK(memcmp(a, b, sizeof(a)) == 0);
    CHECK_OK(d->load(d->ctx, OT_TRAIN, 1, true, 5, b, &label));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    add_junk("train/b/2.jpg"); /* a file that breaks while we train */
    CHECK_FAILS(ot_dataset_load(d, OT_TRAIN, 1, true, 0, b, &label), OT_EDATA, "train/b/2.jpg: no picture");
    ot_dataset_close(d);
    o.spec.nhwc = true;
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "1 of 3 pictures are bad");
    add_picture("train/b/2.jpg", 2);
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK(d && d->dim[0] == SIZE && d->dim[2] == 3);
    ot_dataset_close(d);
}

/* Names of the validation split, one a line. */
static void valid_names(char *out, size_t n, const ot_dataset *d)
{
    size_t at = 0;
    out[0] = 0;
    for (int64_t i = 0; i < d->count[OT_VALID] && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s\n", d->name(d->ctx, OT_VALID, i));
}

static void split_by_seed(void)
{
    static char first[4096], second[4096];
    char name[64];
    ot_dataset *d;
    ot_folder_options o = options();
    fresh("folder-split");
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "class%d/%d.jpg", i % 2, i);
        add_picture(name, i);
    }
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK(d->count[0] + d->count[1] == 60 && d->count[1] >= 5 && d->count[1] <= 20);
    valid_names(first, sizeof(first), d);
    ot_dataset_close(d);
    add_picture("class0/new.jpg", 1);
    CHECK_OK(ot_folder_open(&d, root, &o));
    valid_names(second, sizeof(second), d);
    if (!strstr(second, "new.jpg"))
        CHECK(strcmp(first, second) == 0);
    ot_dataset_close(d);
    o.seed = 7;
    CHECK_OK(ot_folder_open(&d, root, &o));
    valid_names(second, sizeof(second), d);
    CHECK(strcmp(first, second) != 0);
    ot_dataset_close(d);
    o.valid_fraction = 0;
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK(d->count[0] == 61 && d->count[1] == 0);
    ot_dataset_close(d);
    o.valid_fraction = 1e-9; /* at least one validates */
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK(d->count[0] == 60 && d->count[1] == 1);
    ot_dataset_close(d);
    o.valid_fraction = 1;
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EARG, "share of 1");
}

static void damaged_files(void)
{
    char name[64];
    ot_dataset *d;
    ot_folder_options o = options();
    fresh("folder-bad");
    for (int i = 0; i < 198; i++) {
        snprintf(name, sizeof(name), "train/%s/%d.jpg", i < 20 ? "few" : "many", i);
        add_picture(name, i);
    }
    add_picture("valid/many/1.jpg", 1);
    add_junk("train/many/junk.png");
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK(d && d->count[OT_TRAIN] == 198 && d->count[OT_VALID] == 1);
    CHECK(strstr(warnings, "junk.png: no picture") && !strstr(warnings, "more than"));
    CHECK(strstr(warnings, "'many' has 178") && strstr(warnings, "'few' 20"));
    ot_dataset_close(d);
    file.n = 12;
    memcpy(file.p, "RIFF\1\1\1\1WEBP", 12);
    save(place("train/few/a.webp"), &file);
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK(strstr(warnings, "a.webp: WebP"));
    ot_dataset_close(d);
    add_junk("valid/many/more.bmp");
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "3 of 202 pictures are bad, more than 1 %");
    CHECK(strstr(ot_last_error(), "the first is") && strstr(ot_last_error(), "a.webp"));
}

static void remembered(void)
{
    ot_dataset *d;
    struct stat s;
    ot_folder_options o = options();
    fresh("folder-seen");
    add_picture("a/1.jpg", 1);
    add_picture("b/2.jpg", 2);
    CHECK_OK(ot_folder_open(&d, root, &o));
    ot_dataset_close(d);
    CHECK(stat(place("a/1.jpg"), &s) == 0);
    FILE *f = fopen(place("a/1.jpg"), "r+b"); /* broken, but of the same size and time: not decoded again */
    if (CHECK(f)) {
        CHECK(fwrite("junk", 1, 4, f) == 4);
        fclose(f);
    }
    struct timespec times[2] = { s.st_atim, s.st_mtim };
    CHECK(utimensat(AT_FDCWD, place("a/1.jpg"), times, 0) == 0);
    CHECK_OK(ot_folder_open(&d, root, &o));
    ot_dataset_close(d);
    times[1].tv_sec++;
    CHECK(utimensat(AT_FDCWD, place("a/1.jpg"), times, 0) == 0);
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "1 of 2 pictures are bad");
    setenv("XDG_CACHE_HOME", "/proc/nowhere", 1); /* no cache: all the same */
    add_picture("a/1.jpg", 1);
    CHECK_OK(ot_folder_open(&d, root, &o));
    ot_dataset_close(d);
}

static void refusals(void)
{
    ot_dataset *d;
    ot_folder_options o = options();
    fresh("folder-none");
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "no folders");
    CHECK_FAILS(ot_folder_open(&d, place("absent"), &o), OT_EIO, "absent: cannot be listed");
    mkdir(place("empty"), 0777);
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "no pictures");
    o.zoom = 0;
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EARG, "zoom 0");
    o.zoom = 1;
    o.spec.size = -1;
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EARG, "size -1");
}

static void out_of_memory(void)
{
    ot_dataset *d;
    ot_folder_options o = options();
    ot_status st = OT_ENOMEM;
    fresh("folder-nomem");
    add_picture("a/1.jpg", 1);
    add_picture("b/2.jpg", 2);
    o.threads = 1;
    int64_t before = ot_live_blocks();
    for (int64_t n = 0; st != OT_OK && n < 2000; n++) {
        ot_fail_alloc_after(n);
        st = ot_folder_open(&d, root, &o);
        ot_fail_alloc_after(-1);
        CHECK(st == OT_OK || !d);
        ot_dataset_close(d);
        CHECK(ot_live_blocks() == before);
    }
    CHECK(st == OT_OK);
}

/* Batches through the loader are the same bits for 1, 2 and 4 threads. */
static void loader_threads(void)
{
    static float want[40 * 3 * SIZE * SIZE];
    char name[64];
    ot_dataset *d;
    ot_loader *l;
    ot_batch b;
    ot_folder_options o = options();
    fresh("folder-loader");
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "%c/%d.jpg", 'a' + i % 3, i);
        add_picture(name, i);
    }
    o.valid_fraction = 0;
    if (!CHECK_OK(ot_folder_open(&d, root, &o)))
        return;
    for (int threads = 1; threads <= 4; threads *= 2) {
        ot_loader_options p = OT_LOADER_INIT;
        size_t one = sizeof(want) / 40;
        p.batch = 7;
        p.threads = threads;
        CHECK_OK(ot_loader_create(&l, d, &p));
        CHECK_OK(ot_loader_start(l, 1, 0));
        while (CHECK_OK(ot_loader_next(l, &b)) && b.n) {
            char *at = (char *)want + one * (size_t)b.first;
            if (threads == 1)
                memcpy(at, b.samples, one * (size_t)b.n);
            else
                CHECK(memcmp(at, b.samples, one * (size_t)b.n) == 0);
        }
        ot_loader_close(l);
    }
    ot_dataset_close(d);
}

static void cifar(void)
{
    static const char *const names[] = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin" };
    static float x[3 * 32 * 32];
    ot_dataset *d;
    int64_t label;
    ot_folder_options o = options();
    fresh("folder-cifar");
    for (int k = 0; k < 6; k++) {
        file.n = 0;
        for (int i = 0; i < 2 + k; i++, file.n += 3073) {
            file.p[file.n] = (uint8_t)((k + i) % 10);
            for (int j = 0; j < 3072; j++)
                file.p[file.n + 1 + (size_t)j] = (uint8_t)(j / 1024 * 50 + j % 32 + k);
        }
        save(place(names[k]), &file);
    }
    o.spec = (ot_image_spec){ 32, 0, { 0, 0, 0 }, { 1, 1, 1 }, 255, false, false };
    if (!CHECK_OK(ot_folder_open(&d, root, &o)))
        return;
    CHECK(d->count[OT_TRAIN] == 20 && d->count[OT_VALID] == 7 && d->classes == 10);
    CHECK(strcmp(d->name(d->ctx, OT_TRAIN, 3), "data_batch_2.bin#1") == 0);
    CHECK(strcmp(d->name(d->ctx, OT_VALID, 0), "test_batch.bin#0") == 0);
    CHECK_OK(d->load(d->ctx, OT_TRAIN, 3, false, 0, x, &label));
    CHECK(label == 2 && d->label(d->ctx, OT_TRAIN, 3) == 2 && strcmp(d->class_names[2], "bird") == 0);
    for (int j = 0; j < 3072; j++)
        CHECK(test_close(j / 1024 * 50 + j % 32 + 1, x[j], 1e-4, 0));
    ot_image_spec spec = o.spec;
    CHECK_OK(ot_folder_statistics(&spec, root, &o));
    for (int c = 0; c < 3; c++) { /* 0..31 in each row, and 0..4 by file: 2, 3, ... 6 samples of them */
        CHECK(test_close(c * 50 + 15.5 + 2.5, (double)spec.mean[c], 1e-4, 0));
        CHECK(test_close(sqrt(1023. / 12 + 1.75), (double)spec.std[c], 1e-4, 0));
    }
    o.augment = OT_AUGMENT_CROP_FLIP;
    ot_dataset_close(d);
    CHECK_OK(ot_folder_open(&d, root, &o));
    CHECK_OK(d->load(d->ctx, OT_TRAIN, 3, true, 0, x, &label));
    for (int j = 0; j < 3072; j++) /* whole pixels only */
        CHECK(test_close(roundf(x[j]), x[j], 1e-4, 0));
    ot_dataset_close(d);
    file.p[0] = 10;
    file.n = 3073;
    save(place(names[0]), &file);
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "label 10");
    file.n = 3072;
    save(place(names[0]), &file);
    CHECK_FAILS(ot_folder_open(&d, root, &o), OT_EDATA, "3072 bytes");
}

const ot_test folder_tests[] = { { "train and valid", train_and_valid },
                                 { "samples", samples },
                                 { "split by seed", split_by_seed },
                                 { "damaged files", damaged_files },
                                 { "remembered", remembered },
                                 { "refusals", refusals },
                                 { "out of memory", out_of_memory },
                                 { "loader threads", loader_threads },
                                 { "cifar", cifar },
                                 { NULL, NULL } };
