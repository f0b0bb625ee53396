/* How much memory may be taken without pushing others out. */
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number in the file's text after `name`; SIZE_MAX when it is not there. */
static size_t number_in(const char *path, const char *name)
{
    char text[8192];
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *at = strstr(text, name);
    if (!n || !at)
        return SIZE_MAX;
    at += strlen(name);
    at += strspn(at, " ");
    return *at >= '0' && *at <= '9' ? (size_t)strtoull(at, NULL, 10) : SIZE_MAX;
}

/* What a control group leaves: its limit less what is used, but for pages of files that can be dropped. */
static size_t left_in_group(const char *limit, const char *usage, const char *stat, const char *pages)
{
    size_t most = number_in(limit, ""), used = number_in(usage, ""), files = number_in(stat, pages);
    if (most == SIZE_MAX || used == SIZE_MAX)
        return SIZE_MAX;
    used -= files < used ? files : 0;
    return most > used ? most - used : 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ot_memory_available(void)
{
    size_t kib = number_in("/proc/meminfo", "MemAvailable:");
    size_t all = kib < SIZE_MAX / 1024 ? kib * 1024 : SIZE_MAX;
    size_t two = left_in_group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                               "/sys/fs/cgroup/memory.stat", "\ninactive_file");
    size_t one =
        left_in_group("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                      "/sys/fs/cgroup/memory/memory.stat", "\ntotal_inactive_file");
    return smaller(all, smaller(two, one));
}
