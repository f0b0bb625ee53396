#include "fill.h"

/* SplitMix64 of a counter. */
static double random_at(uint64_t seed, uint64_t input, uint64_t i)
{
    uint64_t z = seed + (input << 48) + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1;
}

ot_status ot_fill_create(ot_tensor **out, const ot_tensor *like, uint64_t seed, uint64_t input)
{
    ot_status st = ot_tensor_create(out, like->dtype, like->rank, like->dim);
    if (st != OT_OK)
        return st;
    int64_t n = ot_tensor_count(*out);
    for (int64_t i = 0; i < n && like->dtype == OT_FLOAT; i++)
        ((float *)(*out)->data)[i] = (float)random_at(seed, input, (uint64_t)i);
    for (int64_t i = 0; i < n && like->dtype == OT_DOUBLE; i++)
        ((double *)(*out)->data)[i] = random_at(seed, input, (uint64_t)i);
    return OT_OK;
}
