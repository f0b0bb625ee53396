#include "product.h"
#include "transpose.h"

#include <string.h>

#define ROUND_FLOATS ((int64_t)1 << 22) /* packed A of a round, when A is not packed before: 16 MiB */

static int64_t depth_blocks(int64_t k)
{
    return k_max(1, k_ceil(k, OT_KC));
}

/* Depth blocks of a round. */
static int64_t round_blocks(int64_t groups, int64_t m, int64_t k)
{
    return k_min(depth_blocks(k), k_max(1, ROUND_FLOATS / (groups * k_max(m, 1) * OT_KC)));
}

static int64_t line_up(int64_t floats)
{
    return k_ceil(floats, OT_LINE) * OT_LINE;
}

int64_t OT_K(ot_product_packed)(int64_t groups, int64_t m, int64_t k)
{
    return line_up(groups * m * k);
}

static int64_t worker_floats(int64_t m)
{
    return line_up((OT_KC + k_min(m, OT_MT + OT_MR)) * OT_NT);
}

int64_t OT_K(ot_product_workspace)(int64_t groups, int64_t m, int64_t n, int64_t k, bool packed, int threads)
{
    int64_t blocks = round_blocks(groups, m, k), depth = k_min(k, blocks * OT_KC);
    (void)n;
    return (packed ? 0 : line_up(groups * m * depth)) + worker_floats(m) * k_max(1, threads);
}

void OT_K(ot_pack_rows)(int rows, int64_t depth, const float *src, int64_t row, int64_t col, float *dst)
{
    if (row == 1) {
        for (int64_t q = 0; q < depth; q++, src += col, dst += rows)
            memcpy(dst, src, sizeof(float) * (size_t)rows);
        return;
    }
    if (col == 1) {
        k_transpose(rows, depth, src, row, dst, rows);
        return;
    }
    for (int64_t q0 = 0; q0 < depth; q0 += 64) {
        int64_t q1 = k_min(depth, q0 + 64);
        for (int r = 0; r < rows; r++)
            for (int64_t q = q0; q < q1; q++)
                dst[q * rows + r] = src[r * row + q * col];
    }
}

void OT_K(ot_pack_cols)(int cols, int64_t depth, const float *src, int64_t row, int64_t col, float *dst)
{
    if (cols < OT_NR)
        memset(dst, 0, sizeof(float) * OT_NR * (size_t)depth);
    if (col == 1 && cols == OT_NR) {
        for (int64_t q = 0; q < depth; q++, src += row, dst += OT_NR) {
            vf a = v_load(src), b = v_load(src + OT_VL);
            *(vf *)dst = a;
            *(vf *)(dst + OT_VL) = b;
        }
        return;
    }
    if (col == 1) {
        for (int64_t q = 0; q < depth; q++, src += row, dst += OT_NR)
            memcpy(dst, src, sizeof(float) * (size_t)cols);
        return;
    }
    if (row == 1) {
        k_transpose(cols, depth, src, col, dst, OT_NR);
        return;
    }
    for (int64_t q0 = 0; q0 < depth; q0 += 32) {
        int64_t q1 = k_min(depth, q0 + 32);
        for (int j = 0; j < cols; j++)
            for (int64_t q = q0; q < q1; q++)
                dst[q * OT_NR + j] = src[q * row + j * col];
    }
}

static int64_t panels_of(int64_t m)
{
    return k_ceil(m, OT_MR);
}

/* One block of packing: a depth block of all panels of a group. */
static void pack_task(void *ctx, int64_t block, int worker)
{
    const product *p = ctx;
    int64_t blocks = depth_blocks(p->k), panels = panels_of(p->m);
    int64_t group = block / panels, panel = block % panels;
    int64_t m0 = k_cut(p->m, panels, panel), m1 = k_cut(p->m, panels, panel + 1);
    float *dst = p->work_a + group * p->m * (p->kb - p->ka);
    (void)worker;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t k0 = k_cut(p->k, blocks, i), k1 = k_cut(p->k, blocks, i + 1);
        if (k0 >= p->ka && k1 <= p->kb)
            p->pack_a(p, group, m0, (int)(m1 - m0), k0, k1 - k0, dst + p->m * (k0 - p->ka) + m0 * (k1 - k0));
    }
}

void OT_K(ot_product_pack)(product *p, float *dst, const ot_kernel_pool *pool)
{
    p->ka = 0;
    p->kb = p->k;
    p->work_a = dst;
    k_run(pool, p->groups * panels_of(p->m), pack_task, p);
}

/* The epilogue of a run of columns; d and res step by `step`, s is a row of the tile. */
struct finish {
    bool more; /* add to what C holds, times beta */
    bool last; /* bias, residual, activation */
    float beta;
    float bias;
    const float *bias_col;
    const float *res;
    ot_kernel_act act;
    float lo, hi;
};

static float finish_one(const struct finish *f, float v, const float *d, int64_t i, int64_t at)
{
    if (f->more)
        v += f->beta * d[at];
    if (!f->last)
        return v;
    v += f->bias;
    if (f->bias_col)
        v += f->bias_col[i];
    if (f->res)
        v += f->res[at];
    if (f->act == OT_ACT_RELU)
        v = v < 0 ? 0 : v;
    else if (f->act == OT_ACT_CLIP) {
        v = v < f->lo ? f->lo : v;
        v = v > f->hi ? f->hi : v;
    }
    return v;
}

static void finish_run(const struct finish *f, const float *s, int64_t len, float *d, int64_t step)
{
    int64_t i = 0;
    if (step == 1) {
        for (; i + OT_VL <= len; i += OT_VL) {
            vf v = v_load(s + i);
            if (f->more)
                v += f->beta * v_load(d + i);
            if (f->last) {
                v += f->bias;
                if (f->bias_col)
                    v += v_load(f->bias_col + i);
                if (f->res)
                    v += v_load(f->res + i);
                if (f->act == OT_ACT_RELU)
                    v = v_pick(v < 0.0f, (vf){ 0 }, v);
                else if (f->act == OT_ACT_CLIP) {
                    v = v_pick(v < f->lo, v_set(f->lo), v);
                    v = v_pick(v > f->hi, v_set(f->hi), v);
                }
            }
            v_store(d + i, v);
        }
    }
    for (; i < len; i++)
        d[i * step] = finish_one(f, s[i], d, i, i * step);
}

static void finish_tile(const product *p, int64_t group, int64_t m0, int rows, int64_t n0, const product_seg *seg,
                        int segs, const float *tile)
{
    const ot_epilogue *e = &p->epi;
    struct finish f = {
        .last = p->kb == p->k, .beta = p->ka > 0 ? 1 : p->beta, .act = e->act, .lo = e->lo, .hi = e->hi
    };
    f.more = f.beta != 0;
    for (int r = 0; r < rows; r++) {
        int64_t i = m0 + r, base = group * p->c_group + i * p->c_row;
        int64_t res_base = group * p->c_group + i * e->ldr;
        f.bias = e->bias ? e->bias[group * p->m + i] : 0;
        for (int q = 0; q < segs; q++) {
            f.bias_col = e->bias_col ? e->bias_col + n0 + seg[q].j : NULL;
            f.res = e->residual ? e->residual + res_base + seg[q].off : NULL;
            finish_run(&f, tile + r * OT_NR + seg[q].j, seg[q].len, p->c + base + seg[q].off, p->step);
        }
    }
}

struct tile_place {
    int64_t group, p0, p1, panels; /* panels of rows */
    int64_t q0, q1;                /* panels of columns */
    int64_t row0;                  /* the first row */
};

/* One depth block of a tile: packs B, multiplies, and finishes after the last block. */
static void tile_block(const product *p, const struct tile_place *t, int64_t k0, int64_t depth, float *b, float *acc,
                       const product_seg *seg, const int *segs)
{
    int64_t cols = (t->q1 - t->q0) * OT_NR;
    bool first = k0 == p->ka, last = k0 + depth == p->kb;
    p->pack_b(p, t->group, t->q0 * OT_NR, (int)(k_min(p->n, t->q1 * OT_NR) - t->q0 * OT_NR), k0, depth, b);
    const float *pa = p->pa + t->group * p->m * (p->kb - p->ka) + p->m * (k0 - p->ka);
    for (int64_t i = t->p0; i < t->p1; i++) {
        int64_t m0 = k_cut(p->m, t->panels, i);
        int rows = (int)(k_cut(p->m, t->panels, i + 1) - m0);
        float *tile = acc + (m0 - t->row0) * cols;
        for (int64_t q = t->q0; q < t->q1; q++, tile += rows * OT_NR) {
            int vectors = p->n - q * OT_NR > OT_VL ? 2 : 1;
            OT_K(ot_micro)
            (rows, vectors, depth, pa + m0 * depth, b + (q - t->q0) * depth * OT_NR, OT_NR, tile, OT_NR, !first);
            if (last)
                finish_tile(p, t->group, m0, rows, q * OT_NR, seg + (q - t->q0) * OT_NR, segs[q - t->q0], tile);
        }
    }
}

static void tile_task(void *ctx, int64_t block, int worker)
{
    const product *p = ctx;
    int64_t mt = block % p->m_tiles, nt = block / p->m_tiles % p->n_tiles, blocks = depth_blocks(p->k);
    int64_t panels = panels_of(p->m), columns = k_ceil(p->n, OT_NR);
    struct tile_place t = { .group = block / (p->m_tiles * p->n_tiles), .panels = panels };
    product_seg seg[OT_NT];
    int segs[OT_NT / OT_NR];
    t.p0 = k_cut(panels, p->m_tiles, mt);
    t.p1 = k_cut(panels, p->m_tiles, mt + 1);
    t.q0 = k_cut(columns, p->n_tiles, nt);
    t.q1 = k_cut(columns, p->n_tiles, nt + 1);
    t.row0 = k_cut(p->m, panels, t.p0);
    for (int64_t q = t.q0; q < t.q1; q++)
        segs[q - t.q0] = p->segments(p, q * OT_NR, (int)k_min(OT_NR, p->n - q * OT_NR), seg + (q - t.q0) * OT_NR);
    float *b = p->work_b + worker * p->worker_floats, *acc = b + OT_KC * OT_NT;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t k0 = k_cut(p->k, blocks, i), k1 = k_cut(p->k, blocks, i + 1);
        if (k0 >= p->ka && k1 <= p->kb)
            tile_block(p, &t, k0, k1 - k0, b, acc, seg, segs);
    }
}

/* Tiles as large as the caches take, but enough of them for the threads. */
static void choose_tiles(product *p, int threads)
{
    int64_t panels = panels_of(p->m), columns = k_ceil(p->n, OT_NR);
    int64_t want = threads > 1 ? k_ceil(4 * threads, p->groups) : 1;
    p->m_tiles = k_ceil(panels, OT_MT / OT_MR);
    p->n_tiles = k_ceil(columns, OT_NT / OT_NR);
    if (p->m_tiles * p->n_tiles < want)
        p->m_tiles = k_max(p->m_tiles, k_min(k_ceil(want, p->n_tiles), panels / 4));
    if (p->m_tiles * p->n_tiles < want)
        p->n_tiles = k_min(columns, k_ceil(want, p->m_tiles));
    if (p->m_tiles * p->n_tiles < want)
        p->m_tiles = k_min(panels, k_ceil(want, p->n_tiles));
}

void OT_K(ot_product_run)(product *p, float *work, const ot_kernel_pool *pool)
{
    if (p->m == 0 || p->n == 0 || p->groups == 0)
        return;
    int64_t blocks = depth_blocks(p->k), step = round_blocks(p->groups, k_max(p->m, p->m_most), p->k);
    if (p->packed)
        step = blocks;
    choose_tiles(p, pool ? pool->threads : 1);
    p->worker_floats = worker_floats(p->m);
    p->work_a = work;
    p->work_b = work + (p->packed ? 0 : line_up(p->groups * p->m * k_min(p->k, step * OT_KC)));
    for (int64_t i = 0; i < blocks; i += step) {
        p->ka = k_cut(p->k, blocks, i);
        p->kb = k_cut(p->k, blocks, k_min(blocks, i + step));
        p->pa = p->packed ? p->packed : p->work_a;
        if (!p->packed)
            k_run(pool, p->groups * panels_of(p->m), pack_task, p);
        k_run(pool, p->groups * p->m_tiles * p->n_tiles, tile_task, p);
    }
}
