/* The frame of a JPEG file, checked before stb_image sees it, because stb_image trusts too much: a scan that names
 * tables which were never defined, or a Huffman table whose codes do not fit, makes it read outside its arrays.
 * Section numbers are those of ITU-T T.81. */
#include "data/decoders.h"

typedef struct frame {
    const uint8_t *p;
    size_t n;
    bool huffman[2][4], quantiser[4]; /* defined so far; huffman[0] is DC */
    int components;                   /* 0: no frame header yet */
    bool progressive;
    uint8_t id[4], table[4]; /* of each component: its name, its quantiser */
} frame;

static ot_status bad(const char *what, size_t at)
{
    return ot_fail(OT_EDATA, "damaged JPEG: %s at byte %zu", what, at);
}

/* B.2.4.2: class and number, 16 counts of codes by length, the symbols; several tables may follow one another. */
static ot_status check_huffman(frame *f, size_t at, size_t end)
{
    while (at < end) {
        int kind = f->p[at] >> 4, number = f->p[at] & 15;
        int32_t symbols = 0, code = 0;
        if (kind > 1 || number > 3 || end - at < 17)
            return bad("wrong Huffman table", at);
        for (int len = 1; len <= 16; len++) {
            symbols += f->p[at + (size_t)len];
            code = code * 2 + f->p[at + (size_t)len];
            if (code > 1 << len)
                return bad("impossible Huffman code", at);
        }
        if (symbols > 256 || (size_t)symbols > end - at - 17)
            return bad("wrong Huffman table", at);
        f->huffman[kind][number] = true;
        at += 17 + (size_t)symbols;
    }
    return OT_OK;
}

/* B.2.4.1: precision and number, 64 values of 8 or 16 bits. */
static ot_status check_quantiser(frame *f, size_t at, size_t end)
{
    while (at < end) {
        size_t size = f->p[at] >> 4 ? 129 : 65;
        int number = f->p[at] & 15;
        if (f->p[at] >> 4 > 1 || number > 3 || end - at < size)
            return bad("wrong quantisation table", at);
        f->quantiser[number] = true;
        at += size;
    }
    return OT_OK;
}

/* B.2.2: precision, height, width, and of each component its name, sampling and quantiser. */
static ot_status check_frame(frame *f, size_t at, size_t end, bool progressive)
{
    int n = end - at >= 6 ? f->p[at + 5] : 0;
    if (f->components || (n != 1 && n != 3 && n != 4) || end - at != 6 + 3 * (size_t)n)
        return bad("wrong frame header", at);
    for (int i = 0; i < n; i++) {
        const uint8_t *c = f->p + at + 6 + 3 * i;
        if (c[1] >> 4 < 1 || c[1] >> 4 > 4 || (c[1] & 15) < 1 || (c[1] & 15) > 4 || c[2] > 3)
            return bad("wrong component", at);
        f->id[i] = c[0];
        f->table[i] = c[2];
    }
    f->components = n;
    f->progressive = progressive;
    return OT_OK;
}

/* B.2.3: the components with their tables, the band of coefficients, the bits of precision. */
static ot_status check_scan(const frame *f, size_t at, size_t end)
{
    int n = end > at ? f->p[at] : 0;
    if (!f->components || n < 1 || n > f->components || end - at != 4 + 2 * (size_t)n)
        return bad("wrong scan header", at);
    int first = f->p[end - 3], last = f->p[end - 2], high = f->p[end - 1] >> 4;
    bool dc = !f->progressive || (first == 0 && high == 0), ac = !f->progressive || first > 0;
    if (f->progressive && (last > 63 || first > last || (first == 0 && last != 0) || (first && n != 1)))
        return bad("wrong band of a scan", at);
    for (int i = 0; i < n; i++) {
        int k = 0, name = f->p[at + 1 + 2 * (size_t)i], tables = f->p[at + 2 + 2 * (size_t)i];
        while (k < f->components && f->id[k] != name)
            k++;
        if (k == f->components || tables >> 4 > 3 || (tables & 15) > 3 || !f->quantiser[f->table[k]] ||
            (dc && !f->huffman[0][tables >> 4]) || (ac && !f->huffman[1][tables & 15]))
            return bad("a scan of what is not defined", at);
    }
    return OT_OK;
}

/* The place of the next marker's second byte in or behind the data of a scan; n when there is none. */
static size_t after_scan(const frame *f, size_t at)
{
    while (at + 1 < f->n) {
        if (f->p[at] == 0xFF && f->p[at + 1] != 0 && f->p[at + 1] != 0xFF && (f->p[at + 1] & 0xF8) != 0xD0)
            return at + 1;
        at++;
    }
    return f->n;
}

static ot_status check_segment(frame *f, int marker, size_t at, size_t end)
{
    switch (marker) {
    case 0xC4:
        return check_huffman(f, at, end);
    case 0xDB:
        return check_quantiser(f, at, end);
    case 0xC0:
    case 0xC1:
    case 0xC2:
        return check_frame(f, at, end, marker == 0xC2);
    case 0xDA:
        return check_scan(f, at, end);
    case 0xDC: /* number of lines */
    case 0xDD: /* restart interval */
    case 0xFE: /* comment */
        return OT_OK;
    default:
        return marker >= 0xE0 && marker <= 0xEF ? OT_OK : bad("a segment that is not supported", at);
    }
}

ot_status ot_jpeg_check(const uint8_t *bytes, size_t n)
{
    frame f = { .p = bytes, .n = n };
    size_t at = 2;
    int scans = 0;
    while (at + 1 < n) {
        if (bytes[at] != 0xFF)
            return bad("no marker", at);
        int marker = bytes[at + 1];
        at += marker == 0xFF ? 1 : 2;
        if (marker == 0xFF) /* a fill byte */
            continue;
        if (marker == 0xD9)
            return scans ? OT_OK : bad("an end before any scan", at);
        size_t len = n - at >= 2 ? (size_t)bytes[at] << 8 | bytes[at + 1] : 0;
        if (len < 2 || len > n - at)
            break;
        OT_TRY(check_segment(&f, marker, at + 2, at + len));
        at += len;
        if (marker == 0xDA) {
            if (++scans > 200)
                return bad("more than 200 scans", at);
            at = after_scan(&f, at) - 1;
        }
    }
    return ot_fail(OT_EDATA, "damaged JPEG: it ends too early, at byte %zu", n);
}
