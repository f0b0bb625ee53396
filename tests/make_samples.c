/* onnxtune-make-samples DIR: what tests/cli.sh works on, made without the code under test.
 *   tiny.onnx     input [N,3,32,32]: conv 3x3 (4), BatchNormalization, relu, gap, flatten, gemm to 2 scores
 *   unknown.onnx  uses two operators that do not exist
 *   pair.onnx     input [N,3]: relu; pair_in.pb and pair_out.pb are tensors that go in and come out
 *   red.ppm blue.ppm   pictures of 40x32
 *   data/{train,valid}/{blue,red}/N.ppm   8 + 4 pictures a class
 */
#include "wire_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *dir;

static FILE *create(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

/* ---- Models ------------------------------------------------------------------------------------------------- */

static void attr_ints(wire_data *node, const char *name, int n, const int *v)
{
    wire_data a = { .n = 0 };
    wire_text(&a, 1, name);
    for (int i = 0; i < n; i++)
        wire_int(&a, 8, (uint64_t)v[i]);
    wire_int(&a, 20, 7);
    wire_nest(node, 5, &a);
}

/* inputs: names with spaces between. */
static void node(wire_data *graph, const char *op, const char *inputs, const char *output, const int *pads)
{
    wire_data n = { .n = 0 };
    char list[256];
    snprintf(list, sizeof(list), "%s", inputs);
    for (char *s = strtok(list, " "); s; s = strtok(NULL, " "))
        wire_text(&n, 1, s);
    wire_text(&n, 2, output);
    wire_text(&n, 3, output);
    wire_text(&n, 4, op);
    if (pads)
        attr_ints(&n, "pads", 4, pads);
    wire_nest(graph, 1, &n);
}

/* Values from a fixed sequence, base + scale * (-1..1). */
static void weight(wire_data *graph, const char *name, int rank, const int *dim, float base, float scale)
{
    static unsigned state = 1;
    wire_data t = { .n = 0 };
    float v[512];
    int count = 1;
    for (int i = 0; i < rank; i++) {
        wire_int(&t, 1, (uint64_t)dim[i]);
        count *= dim[i];
    }
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = base + scale * ((float)(state >> 8) / 8388608.0f - 1);
    }
    wire_int(&t, 2, 1);
    wire_text(&t, 8, name);
    wire_bytes(&t, 9, v, (size_t)count * sizeof(*v));
    wire_nest(graph, 5, &t);
}

/* A float value; dim 0 is the name "N", the others are numbers. */
static void value(wire_data *graph, uint32_t field, const char *name, int rank, const int *dim)
{
    wire_data shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 }, info = { .n = 0 };
    for (int i = 0; i < rank; i++) {
        wire_data d = { .n = 0 };
        if (i == 0)
            wire_text(&d, 2, "N");
        else
            wire_int(&d, 1, (uint64_t)dim[i]);
        wire_nest(&shape, 1, &d);
    }
    wire_int(&tensor, 1, 1);
    wire_nest(&tensor, 2, &shape);
    wire_nest(&type, 1, &tensor);
    wire_text(&info, 1, name);
    wire_nest(&info, 2, &type);
    wire_nest(graph, field, &info);
}

static void save_model(const char *name, const wire_data *graph)
{
    static wire_data model;
    FILE *f = create(name);
    wire_model(&model, graph);
    fwrite(model.bytes, 1, model.n, f);
    fclose(f);
}

static void make_tiny(void)
{
    static wire_data g;
    const int pads[] = { 1, 1, 1, 1 };
    node(&g, "Conv", "input conv.w", "conv", pads);
    node(&g, "BatchNormalization", "conv bn.scale bn.bias bn.mean bn.var", "bn", NULL);
    node(&g, "Relu", "bn", "relu", NULL);
    node(&g, "GlobalAveragePool", "relu", "pool", NULL);
    node(&g, "Flatten", "pool", "flat", NULL);
    node(&g, "Gemm", "flat fc.w fc.b", "scores", NULL);
    wire_text(&g, 2, "tiny");
    weight(&g, "conv.w", 4, (int[]){ 4, 3, 3, 3 }, 0, 0.3f);
    weight(&g, "bn.scale", 1, (int[]){ 4 }, 1, 0.1f);
    weight(&g, "bn.bias", 1, (int[]){ 4 }, 0, 0.1f);
    weight(&g, "bn.mean", 1, (int[]){ 4 }, 0, 0.1f);
    weight(&g, "bn.var", 1, (int[]){ 4 }, 1, 0.1f);
    weight(&g, "fc.w", 2, (int[]){ 4, 2 }, 0, 0.5f);
    weight(&g, "fc.b", 1, (int[]){ 2 }, 0, 0.1f);
    value(&g, 11, "input", 4, (int[]){ 0, 3, 32, 32 });
    value(&g, 12, "scores", 2, (int[]){ 0, 2 });
    save_model("tiny.onnx", &g);
}

static void make_unknown(void)
{
    static wire_data g;
    node(&g, "Frobnicate", "input", "a", NULL);
    node(&g, "Relu", "a", "b", NULL);
    node(&g, "Unclever", "b", "out", NULL);
    wire_text(&g, 2, "unknown");
    value(&g, 11, "input", 2, (int[]){ 0, 3 });
    value(&g, 12, "out", 2, (int[]){ 0, 3 });
    save_model("unknown.onnx", &g);
}

static void save_tensor(const char *name, const float *v, int rows, int columns)
{
    wire_data t = { .n = 0 };
    FILE *f = create(name);
    wire_int(&t, 1, (uint64_t)rows);
    wire_int(&t, 1, (uint64_t)columns);
    wire_int(&t, 2, 1);
    wire_bytes(&t, 9, v, (size_t)(rows * columns) * sizeof(*v));
    fwrite(t.bytes, 1, t.n, f);
    fclose(f);
}

static void make_pair(void)
{
    static wire_data g;
    node(&g, "Relu", "input", "out", NULL);
    wire_text(&g, 2, "pair");
    value(&g, 11, "input", 2, (int[]){ 0, 3 });
    value(&g, 12, "out", 2, (int[]){ 0, 3 });
    save_model("pair.onnx", &g);
    save_tensor("pair_in.pb", (float[]){ -1, 2, -3, 4, -5, 6 }, 2, 3);
    save_tensor("pair_out.pb", (float[]){ 0, 2, 0, 4, 0, 6 }, 2, 3);
}

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

/* Mostly one colour, with a pattern that `seed` moves. */
static void make_picture(const char *name, bool red, int seed)
{
    FILE *f = create(name);
    fprintf(f, "P6 40 32 255\n");
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 40; x++) {
            int v = (x * 7 + y * 13 + seed * 29) % 64;
            const unsigned char rgb[3] = { (unsigned char)(red ? 255 - v : v), (unsigned char)v,
                                           (unsigned char)(red ? v : 255 - v) };
            fwrite(rgb, 1, 3, f);
        }
    fclose(f);
}

static void make_folder(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (mkdir(path, 0777) != 0) {
        perror(path);
        exit(1);
    }
}

static void make_data(void)
{
    static const char *const splits[] = { "train", "valid" }, *const colours[] = { "blue", "red" };
    char name[256];
    make_folder("data");
    for (int s = 0; s < 2; s++) {
        snprintf(name, sizeof(name), "data/%s", splits[s]);
        make_folder(name);
        for (int c = 0; c < 2; c++) {
            snprintf(name, sizeof(name), "data/%s/%s", splits[s], colours[c]);
            make_folder(name);
            for (int i = 0; i < (s ? 4 : 8); i++) {
                snprintf(name, sizeof(name), "data/%s/%s/%d.ppm", splits[s], colours[c], i);
                make_picture(name, c == 1, i + 100 * s);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: onnxtune-make-samples DIR\n");
        return 2;
    }
    dir = argv[1];
    make_tiny();
    make_unknown();
    make_pair();
    make_picture("red.ppm", true, 1);
    make_picture("blue.ppm", false, 1);
    make_data();
    return 0;
}
