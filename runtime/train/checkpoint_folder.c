#include "train/checkpoint_folder.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *ot_path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = ot_malloc(n, 1);
    if (path)
        snprintf(path, n, "%s/%s", folder, name);
    return path;
}

ot_status ot_checkpoint_latest(char **path, const char *folder)
{
    char *latest = ot_path_join(folder, "latest"), name[64];
    ot_map map;
    *path = NULL;
    if (!latest)
        return OT_ENOMEM;
    ot_status st = ot_file_map(&map, latest);
    ot_free(latest);
    if (st != OT_OK)
        return ot_context(st, "no checkpoint in '%s'", folder);
    size_t n = map.n < sizeof(name) - 1 ? map.n : sizeof(name) - 1;
    memcpy(name, map.bytes, n);
    ot_file_unmap(&map);
    name[n] = 0;
    name[strcspn(name, "\n")] = 0;
    if (strncmp(name, "step-", 5) != 0 || strchr(name, '/'))
        return ot_fail(OT_EMODEL, "%s/latest: '%s' names no checkpoint", folder, name);
    *path = ot_path_join(folder, name);
    return *path ? OT_OK : OT_ENOMEM;
}

/* The two newest stay: the latest, and the one before in case its successor is damaged later. */
void ot_checkpoint_forget(ot_trainer *t, char *saved)
{
    if (t->last_saved && strcmp(t->last_saved, saved) == 0) {
        ot_free(saved);
        return;
    }
    if (t->saved_before)
        unlink(t->saved_before);
    ot_free(t->saved_before);
    t->saved_before = t->last_saved;
    t->last_saved = saved;
}

/* step-123.onnx, or a writer's .onnxtune-PID-N.tmp */
static bool is_ours(const char *name)
{
    size_t n = strlen(name);
    if (strncmp(name, ".onnxtune-", 10) == 0)
        return n > 14 && strcmp(name + n - 4, ".tmp") == 0;
    return strncmp(name, "step-", 5) == 0 && n > 10 && strcmp(name + n - 5, ".onnx") == 0 &&
           strspn(name + 5, "0123456789") == n - 10;
}

void ot_checkpoint_tidy(const char *folder, const char *latest)
{
    DIR *d = opendir(folder);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char *path = is_ours(e->d_name) ? ot_path_join(folder, e->d_name) : NULL;
        if (path && strcmp(path, latest) != 0)
            unlink(path);
        ot_free(path);
    }
    if (d)
        closedir(d);
}
