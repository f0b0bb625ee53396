/* The public kernels: each calls the one of the instruction set in use. */
#include "table.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

extern const ot_kernel_table ot_kernels_baseline;
#if defined(__x86_64__)
extern const ot_kernel_table ot_kernels_avx2, ot_kernels_avx512;

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

static bool has_baseline(void)
{
    return true;
}

static const struct isa {
    const char *name;
    const ot_kernel_table *table;
    bool (*has)(void);
} isas[] = {
    /* from the plainest to the best */
    { "baseline", &ot_kernels_baseline, has_baseline },
#if defined(__x86_64__)
    { "avx2", &ot_kernels_avx2, has_avx2 },
    { "avx512", &ot_kernels_avx512, has_avx512 },
#endif
};
#define N_ISAS ((int)(sizeof(isas) / sizeof(isas[0])))

static _Atomic(const struct isa *) in_use;

static const struct isa *choose(void)
{
    const char *most = getenv("ONNXTUNE_ISA");
    int top = N_ISAS - 1;
    for (int i = 0; most && i < N_ISAS; i++)
        if (strcmp(most, isas[i].name) == 0)
            top = i;
    while (top > 0 && !isas[top].has())
        top--;
    return &isas[top];
}

static const struct isa *isa(void)
{
    const struct isa *now = atomic_load_explicit(&in_use, memory_order_relaxed);
    if (!now) {
        now = choose(); /* two threads that meet here choose the same */
        atomic_store_explicit(&in_use, now, memory_order_relaxed);
    }
    return now;
}

const char *ot_kernels_isa(void)
{
    return isa()->name;
}

bool ot_kernels_use(const char *name)
{
    for (int i = 0; i < N_ISAS; i++)
        if (strcmp(name, isas[i].name) == 0 && isas[i].has()) {
            atomic_store_explicit(&in_use, &isas[i], memory_order_relaxed);
            return true;
        }
    return false;
}

#define PUBLIC_V(name, params, args)                                                                                   \
    void name params                                                                                                   \
    {                                                                                                                  \
        isa()->table->name args;                                                                                       \
    }
#define PUBLIC_R(type, name, params, args)                                                                             \
    type name params                                                                                                   \
    {                                                                                                                  \
        return isa()->table->name args;                                                                                \
    }
OT_KERNEL_LIST(PUBLIC_V, PUBLIC_R)
