#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

struct ot_threads {
    int n; /* with the caller */
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    int64_t round; /* raised for each ot_threads_run; workers wait for it to change */
    int busy;      /* workers that have not finished this round */
    bool quit;
    ot_task *fn;
    void *ctx;
    int64_t blocks;
    atomic_llong next;
};

struct worker_arg {
    ot_threads *t;
    int worker;
};

static void take_blocks(ot_threads *t, int worker)
{
    for (;;) {
        int64_t b = atomic_fetch_add(&t->next, 1);
        if (b >= t->blocks)
            return;
        t->fn(t->ctx, b, worker);
    }
}

static void *worker_main(void *p)
{
    struct worker_arg arg = *(struct worker_arg *)p;
    ot_threads *t = arg.t;
    int64_t seen = 0;
    ot_free(p);
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (t->round == seen && !t->quit)
            pthread_cond_wait(&t->start, &t->lock);
        if (t->quit)
            break;
        seen = t->round;
        pthread_mutex_unlock(&t->lock);
        take_blocks(t, arg.worker);
        pthread_mutex_lock(&t->lock);
        if (--t->busy == 0)
            pthread_cond_signal(&t->done);
    }
    pthread_mutex_unlock(&t->lock);
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

void ot_threads_run(ot_threads *t, int64_t blocks, ot_task *fn, void *ctx)
{
    if (!t || t->n == 1 || blocks <= 1) {
        for (int64_t b = 0; b < blocks; b++)
            fn(ctx, b, 0);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->fn = fn;
    t->ctx = ctx;
    t->blocks = blocks;
    atomic_store(&t->next, 0);
    t->busy = t->n - 1;
    t->round++;
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&t->lock);
    take_blocks(t, 0);
    pthread_mutex_lock(&t->lock);
    while (t->busy > 0)
        pthread_cond_wait(&t->done, &t->lock);
    pthread_mutex_unlock(&t->lock);
}
