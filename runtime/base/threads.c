#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* How long a thread looks for work, or for the end of the others' work, before it sleeps: about what waking it costs.
 * Between two nodes of a run it is rarely as long. */
#define PATIENCE_NS 30000

/* The gate: how many workers are inside, whether it is open, and the number of the round.  A worker takes part in a
 * round if it comes while the gate is open; nobody waits for one that did not come, because its processor is busy. */
#define INSIDE ((uint64_t)1)
#define OPEN   ((uint64_t)1 << 16)
#define ROUND  ((uint64_t)1 << 17)

#define INSIDE_OF(gate) ((gate) & (OPEN - 1))

struct ot_threads {
    int n; /* with the caller */
    int64_t patience;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    atomic_ullong gate;
    atomic_int asleep;     /* workers at `start`, or about to be */
    atomic_bool listening; /* the caller at `done`, or about to be */
    bool quit;
    /* of a round; they change while nobody is inside */
    ot_task *fn;
    void *ctx;
    int64_t blocks;
    atomic_llong next;
};

struct worker_arg {
    ot_threads *t;
    int worker;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
    for (int i = 0; i < 8; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
}

static void take_blocks(ot_threads *t, int worker)
{
    for (;;) {
        int64_t b = atomic_fetch_add(&t->next, 1);
        if (b >= t->blocks)
            return;
        t->fn(t->ctx, b, worker);
    }
}

/* Enters the round that is open, unless it is `seen`. */
static bool enter(ot_threads *t, uint64_t *seen)
{
    unsigned long long gate = atomic_load(&t->gate);
    while (gate & OPEN && gate / ROUND != *seen)
        if (atomic_compare_exchange_weak(&t->gate, &gate, gate + INSIDE)) {
            *seen = gate / ROUND;
            return true;
        }
    return false;
}

static void leave(ot_threads *t)
{
    uint64_t before = atomic_fetch_sub(&t->gate, INSIDE);
    if (INSIDE_OF(before) > 1 || before & OPEN || !atomic_load(&t->listening))
        return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_signal(&t->done);
    pthread_mutex_unlock(&t->lock);
}

/* Waits for a round and enters it; false: the pool is to be closed. */
static bool wait_for_round(ot_threads *t, uint64_t *seen)
{
    for (int64_t end = now_ns() + t->patience; now_ns() < end; relax())
        if (enter(t, seen))
            return true;
    bool entered = false;
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->asleep, 1);
    while (!t->quit && !(entered = enter(t, seen)))
        pthread_cond_wait(&t->start, &t->lock);
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->lock);
    return entered;
}

static void *worker_main(void *p)
{
    struct worker_arg arg = *(struct worker_arg *)p;
    uint64_t seen = 0;
    ot_free(p);
    while (wait_for_round(arg.t, &seen)) {
        take_blocks(arg.t, arg.worker);
        leave(arg.t);
    }
    return NULL;
}

/* The first hyper-thread of the core that cpu belongs to; cpu itself where the kernel does not tell. */
static int first_sibling(int cpu)
{
    char path[96];
    int first = cpu;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (f) {
        if (fscanf(f, "%d", &first) != 1)
            first = cpu;
        fclose(f);
    }
    return first;
}

int ot_physical_cores(void)
{
    cpu_set_t allowed, cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        int first = first_sibling(cpu);
        CPU_SET(first >= 0 && first < CPU_SETSIZE ? first : cpu, &cores);
    }
    int n = CPU_COUNT(&cores);
    return n > 0 ? n : 1;
}

static int allowed_processors(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

ot_status ot_threads_create(ot_threads **out, int n)
{
    *out = NULL;
    if (n <= 0)
        n = ot_physical_cores();
    if (n > 1024)
        return ot_fail(OT_EARG, "%d threads asked for, at most 1024 can be had", n);
    ot_threads *t = ot_calloc(1, sizeof(*t));
    if (!t)
        return OT_ENOMEM;
    t->patience = n <= allowed_processors() ? PATIENCE_NS : 0;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->start, NULL);
    pthread_cond_init(&t->done, NULL);
    t->n = 1;
    t->thread = ot_calloc((size_t)n, sizeof(*t->thread));
    if (!t->thread)
        goto failed;
    for (int i = 1; i < n; i++) {
        struct worker_arg *arg = ot_malloc(1, sizeof(*arg));
        if (!arg)
            goto failed;
        *arg = (struct worker_arg){ t, i };
        if (pthread_create(&t->thread[i], NULL, worker_main, arg) != 0) {
            ot_free(arg);
            ot_fail(OT_ENOMEM, "thread %d of %d could not be started", i + 1, n);
            goto failed;
        }
        t->n++;
    }
    *out = t;
    return OT_OK;
failed:
    ot_threads_close(t);
    return OT_ENOMEM;
}

void ot_threads_close(ot_threads *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->quit = true;
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->n; i++)
        pthread_join(t->thread[i], NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->start);
    pthread_cond_destroy(&t->done);
    ot_free(t->thread);
    ot_free(t);
}

int ot_threads_count(const ot_threads *t)
{
    return t ? t->n : 1;
}

static void wait_for_workers(ot_threads *t)
{
    if (INSIDE_OF(atomic_load(&t->gate)) == 0)
        return;
    for (int64_t end = now_ns() + t->patience; now_ns() < end; relax())
        if (INSIDE_OF(atomic_load(&t->gate)) == 0)
            return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->listening, true);
    while (INSIDE_OF(atomic_load(&t->gate)) > 0)
        pthread_cond_wait(&t->done, &t->lock);
    atomic_store(&t->listening, false);
    pthread_mutex_unlock(&t->lock);
}

void ot_threads_run(ot_threads *t, int64_t blocks, ot_task *fn, void *ctx)
{
    if (!t || t->n == 1 || blocks <= 1) {
        for (int64_t b = 0; b < blocks; b++)
            fn(ctx, b, 0);
        return;
    }
    t->fn = fn;
    t->ctx = ctx;
    t->blocks = blocks;
    atomic_store(&t->next, 0);
    atomic_fetch_add(&t->gate, ROUND + OPEN);
    if (atomic_load(&t->asleep)) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->start);
        pthread_mutex_unlock(&t->lock);
    }
    take_blocks(t, 0);
    atomic_fetch_sub(&t->gate, OPEN);
    wait_for_workers(t);
}
