#include "harness.h"
#include "pictures.h"
#include "base/alloc.h"
#include "data/augment.h"
#include "data/preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 24

static float a[3 * SIZE * SIZE], b[3 * SIZE * SIZE];
static const ot_image_spec spec = { SIZE, SIZE, { 0.4f, 0.5f, 0.6f }, { 0.2f, 0.3f, 0.25f }, 1, false, false };

static ot_image picture(int w, int h)
{
    ot_image m;
    CHECK_OK(ot_image_create(&m, w, h));
    pattern(m.rgb, w, h, 3);
    return m;
}

static double largest(const float *x, const float *y)
{
    double most = 0;
    for (int i = 0; i < 3 * SIZE * SIZE; i++)
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

/* A view of whole pixels is a crop, in every layout. */
static void plain_view_is_a_crop(void)
{
    ot_image m = picture(40, 30);
    ot_view v = { { 5.5, 3.5 }, { 1, 0 }, { 0, 1 }, 1, 0 };
    for (int k = 0; k < 4; k++) {
        ot_image_spec s = spec;
        s.bgr = k & 1;
        s.nhwc = k & 2;
        s.range = k ? 255 : 1;
        ot_image_normalise(a, &m, 5, 3, &s);
        ot_view_sample(b, &m, &s, &v);
        CHECK(largest(a, b) < 2e-4 * (k ? 10 : 1));
    }
    ot_image_release(&m);
}

/* Outside, the picture goes on mirrored, the edge pixel twice: fedcba|abcdef|fedcba. */
static void edges_are_reflected(void)
{
    ot_image m = picture(5, 4);
    for (int at = -13; at < 14; at++) {
        ot_view v = { { at + 0.5, at + 0.5 }, { 1, 0 }, { 0, 1 }, 1, 0 };
        int wrong = 0;
        ot_view_sample(b, &m, &spec, &v);
        for (int y = 0; y < SIZE; y++)
            for (int x = 0; x < SIZE; x++) {
                int u = ((at + x) % 10 + 10) % 10, w = ((at + y) % 8 + 8) % 8;
                u = u < 5 ? u : 9 - u;
                w = w < 4 ? w : 7 - w;
                for (int c = 0; c < 3; c++) {
                    float want = ((float)m.rgb[(w * 5 + u) * 3 + c] / 255 - spec.mean[c]) / spec.std[c];
                    wrong += fabsf(want - b[(c * SIZE + y) * SIZE + x]) > 1e-4f;
                }
            }
        CHECK(wrong == 0);
    }
    ot_image_release(&m);
}

static void halves_are_blended(void)
{
    ot_image m = picture(SIZE + 1, SIZE + 1);
    ot_view v = { { 1, 1 }, { 1, 0 }, { 0, 1 }, 1, 0 };
    int wrong = 0;
    ot_view_sample(b, &m, &spec, &v);
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            const uint8_t *p = m.rgb + (y * (SIZE + 1) + x) * 3, *q = p + (SIZE + 1) * 3;
            float mean = (float)(p[0] + p[3] + q[0] + q[3]) / 4 / 255;
            wrong += fabsf((mean - spec.mean[0]) / spec.std[0] - b[y * SIZE + x]) > 1e-4f;
        }
    CHECK(wrong == 0);
    ot_image_release(&m);
}

/* What the keys draw, over many of them. */
static void side_on_draws(void)
{
    ot_image m = picture(60, 48);
    int mirrored = 0, turned = 0, zoomed = 0, n = 4000;
    for (int k = 0; k < n; k++) {
        ot_view v = ot_view_draw(&m, SIZE, OT_AUGMENT_SIDE_ON, 1.25f, (uint64_t)k * 977);
        double step = hypot(v.dx[0], v.dx[1]), angle = atan2(v.dx[1], fabs(v.dx[0])) * 57.29577951308232;
        mirrored += v.dx[0] < 0;
        turned += fabs(angle) > 1e-9;
        zoomed += step < 2 - 1e-9;
        CHECK(step <= 2 + 1e-9 && step >= 2 / 1.25 - 1e-9 && fabs(angle) <= 10 + 1e-9);
        CHECK(fabs(hypot(v.dy[0], v.dy[1]) - step) < 1e-9 && v.dy[1] > 0);
        CHECK(v.contrast > 0.95f && v.contrast < 1.0527f && fabsf(v.brightness) < 0.11f);
    }
    CHECK(abs(mirrored - n / 2) < 150 && abs(turned - n * 3 / 4) < 150 && abs(zoomed - n * 3 / 4) < 150);
    ot_image_release(&m);
}

static void top_down_has_all_eight(void)
{
    ot_image m = picture(SIZE, SIZE);
    int seen[8] = { 0 };
    for (int k = 0; k < 800; k++) {
        ot_view v = ot_view_draw(&m, SIZE, OT_AUGMENT_TOP_DOWN, 1, (uint64_t)k);
        bool swap = fabs(v.dx[1]) > fabs(v.dx[0]);
        seen[(swap ? 4 : 0) + (v.dx[0] + v.dx[1] < 0 ? 1 : 0) + (v.dy[0] + v.dy[1] < 0 ? 2 : 0)]++;
    }
    for (int i = 0; i < 8; i++)
        CHECK(seen[i] > 50);
    ot_image_release(&m);
}

/* Views without a turn stay inside the picture (but for the padding of small ones). */
static void crops_stay_inside(void)
{
    ot_image m = picture(70, 50), tiny = picture(SIZE, SIZE);
    for (int k = 0; k < 2000; k++) {
        ot_view v = ot_view_draw(&m, SIZE, OT_AUGMENT_CROP_FLIP, 1, (uint64_t)k);
        double x = v.at[0] - v.dx[0] / 2, y = v.at[1] - v.dy[1] / 2, w = v.dx[0] * SIZE, h = v.dy[1] * SIZE;
        CHECK(fmin(x, x + w) > -1e-6 && fmax(x, x + w) < 70 + 1e-6 && y > -1e-6 && y + h < 50 + 1e-6);
        CHECK(fabs(w * h) >= 0.079 * 70 * 50 && fabs(w) / h > 0.749 && fabs(w) / h < 1.334);
        v = ot_view_draw(&tiny, SIZE, OT_AUGMENT_CROP_FLIP, 1, (uint64_t)k);
        x = v.dx[0] > 0 ? v.at[0] - 0.5 : v.at[0] - SIZE + 0.5;
        CHECK(x == floor(x) && fabs(x) <= 3 && fabs(v.at[1] - 0.5) <= 3 && fabs(v.dx[0]) == 1);
    }
    ot_image_release(&m);
    ot_image_release(&tiny);
}

static void pure_function_of_the_key(void)
{
    ot_image m = picture(61, 47);
    for (int kind = OT_AUGMENT_NONE; kind <= OT_AUGMENT_CROP_FLIP; kind++) {
        CHECK_OK(ot_image_augment(a, &m, &spec, (ot_augment)kind, 1.1f, 5));
        CHECK_OK(ot_image_augment(b, &m, &spec, (ot_augment)kind, 1.1f, 5));
        CHECK(memcmp(a, b, sizeof(a)) == 0);
        CHECK_OK(ot_image_augment(b, &m, &spec, (ot_augment)kind, 1.1f, 6));
        CHECK((memcmp(a, b, sizeof(a)) == 0) == (kind == OT_AUGMENT_NONE));
    }
    CHECK_OK(ot_image_preprocess(b, &m, &spec));
    CHECK_OK(ot_image_augment(a, &m, &spec, OT_AUGMENT_NONE, 1, 9));
    CHECK(memcmp(a, b, sizeof(a)) == 0);
    CHECK_FAILS(ot_image_augment(a, &m, &spec, OT_AUGMENT_SIDE_ON, 0.5f, 9), OT_EARG, "zoom 0.5");
    CHECK_FAILS(ot_image_augment(a, &m, &spec, (ot_augment)9, 1, 9), OT_EARG, "augmentation 9");
    ot_image_release(&m);
}

/* A large picture is made smaller first: its mean colour survives a fine chequered pattern. */
static void large_pictures_do_not_alias(void)
{
    ot_image m = picture(SIZE * 8, SIZE * 8);
    for (int i = 0; i < m.w * m.h; i++)
        memset(m.rgb + 3 * i, (i % m.w + i / m.w) % 2 ? 255 : 0, 3);
    CHECK_OK(ot_image_augment(a, &m, &spec, OT_AUGMENT_SIDE_ON, 1, 12));
    for (int i = 0; i < SIZE * SIZE; i++)
        CHECK(fabs(a[i] * 0.2 + 0.4 - 0.5) < 0.06); /* light may add 0.05 */
    ot_image_release(&m);
}

const ot_test augment_tests[] = { { "plain view is a crop", plain_view_is_a_crop },
                                  { "edges are reflected", edges_are_reflected },
                                  { "halves are blended", halves_are_blended },
                                  { "side-on draws", side_on_draws },
                                  { "top-down has all eight", top_down_has_all_eight },
                                  { "crops stay inside", crops_stay_inside },
                                  { "pure function of the key", pure_function_of_the_key },
                                  { "large pictures do not alias", large_pictures_do_not_alias },
                                  { NULL, NULL } };
