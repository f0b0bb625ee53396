#define _POSIX_C_SOURCE 200809L
#include "harness.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_and_read(void)
{
    char path[512];
    uint8_t *got;
    size_t n;
    snprintf(path, sizeof(path), "%s", test_tmp("file.bin"));
    remove(path);
    CHECK_OK(ot_file_write(path, "hello", 5));
    CHECK_OK(ot_file_read(&got, &n, path, 5));
    CHECK(n == 5 && memcmp(got, "hello", 6) == 0);
    ot_free(got);
    CHECK_FAILS(ot_file_read(&got, &n, path, 4), OT_EIO, "5 bytes");
    ot_map m;
    CHECK_OK(ot_file_map(&m, path));
    CHECK(m.n == 5 && memcmp(m.bytes, "hello", 5) == 0);
    ot_file_unmap(&m);
    CHECK_OK(ot_file_write(path, NULL, 0));
    CHECK_OK(ot_file_map(&m, path));
    CHECK(m.n == 0 && m.bytes);
    ot_file_unmap(&m);
}

static void large_and_mixed_puts(void)
{
    char path[512];
    uint8_t *got;
    size_t n, total = 0;
    ot_writer *w;
    static uint8_t block[200000];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(i * 7 + i / 251);
    snprintf(path, sizeof(path), "%s", test_tmp("large.bin"));
    CHECK_OK(ot_writer_open(&w, path));
    static const size_t sizes[] = { 1, 65535, 65536, 65537, 3, 200000, 0, 17 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CHECK_OK(ot_writer_put(w, block, sizes[i]));
        total += sizes[i];
    }
    CHECK(ot_writer_size(w) == total);
    CHECK_OK(ot_writer_commit(w));
    CHECK_OK(ot_file_read(&got, &n, path, SIZE_MAX));
    CHECK(n == total);
    const uint8_t *p = got;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); p += sizes[i++])
        CHECK(memcmp(p, block, sizes[i]) == 0);
    ot_free(got);
}

static void old_file_stays(void)
{
    char path[512], link[512];
    struct stat s;
    uint8_t *got;
    size_t n;
    ot_writer *w;
    snprintf(path, sizeof(path), "%s", test_tmp("old.bin"));
    snprintf(link, sizeof(link), "%s", test_tmp("old.link"));
    remove(path);
    remove(link);
    CHECK_OK(ot_file_write(path, "old", 3));
    CHECK(chmod(path, 0640) == 0 && symlink(path, link) == 0);
    CHECK_OK(ot_writer_open(&w, path));
    CHECK_OK(ot_writer_put(w, "new", 3));
    ot_writer_abort(w);
    CHECK_OK(ot_file_read(&got, &n, path, 100));
    CHECK(memcmp(got, "old", 4) == 0);
    ot_free(got);
    CHECK_OK(ot_file_write(link, "newer", 5));
    CHECK(lstat(link, &s) == 0 && S_ISLNK(s.st_mode));
    CHECK(stat(path, &s) == 0 && (s.st_mode & 0777) == 0640 && s.st_size == 5);
}

static void refusals(void)
{
    char dir[512], path[600];
    ot_map m;
    ot_writer *w;
    int64_t before = ot_live_blocks();
    snprintf(dir, sizeof(dir), "%s", test_tmp("file-dir"));
    mkdir(dir, 0777);
    CHECK_FAILS(ot_file_map(&m, dir), OT_EIO, "folder");
    CHECK_FAILS(ot_writer_open(&w, dir), OT_EIO, "folder");
    snprintf(path, sizeof(path), "%s/pipe", dir);
    remove(path);
    CHECK(mkfifo(path, 0666) == 0);
    CHECK_FAILS(ot_file_map(&m, path), OT_EIO, "not a regular file");
    CHECK_FAILS(ot_file_map(&m, "/dev/null"), OT_EIO, "not a regular file");
    CHECK_FAILS(ot_file_map(&m, "/no/such/file"), OT_EIO, "cannot open");
    CHECK_FAILS(ot_writer_open(&w, "/no/such/file"), OT_EIO, "cannot create");
    CHECK_FAILS(ot_writer_open(&w, ""), OT_EARG, "empty");
    CHECK_OK(ot_file_write("/dev/null", "x", 1));
    struct stat s;
    CHECK(stat("/dev/null", &s) == 0 && S_ISCHR(s.st_mode));
    CHECK(ot_live_blocks() == before);
}

static void full_disk_is_an_error(void)
{
    static uint8_t block[100000];
    ot_writer *w;
    if (access("/dev/full", W_OK)) {
        test_skip("no /dev/full here");
        return;
    }
    CHECK_OK(ot_writer_open(&w, "/dev/full"));
    CHECK_FAILS(ot_writer_put(w, block, sizeof(block)), OT_EIO, "cannot write");
    CHECK_FAILS(ot_writer_put(w, block, 1), OT_EIO, "cannot write");
    CHECK_FAILS(ot_writer_commit(w), OT_EIO, "cannot write");
}

const ot_test file_tests[] = { { "write and read", write_and_read },
                               { "large and mixed puts", large_and_mixed_puts },
                               { "old file stays", old_file_stays },
                               { "refusals", refusals },
                               { "full disk is an error", full_disk_is_an_error },
                               { NULL, NULL } };
