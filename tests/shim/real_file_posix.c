/* SPDX-License-Identifier: MIT */
#include "real_file.h"

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const real_null_device = "/dev/null";

static char folder[REAL_PATH_BYTES];

void real_folder_make(void) {
    const char *base = getenv("TMPDIR");

    (void)snprintf(folder, sizeof(folder), "%s/evenshim-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
}

void real_folder_remove(void) {
    char path[REAL_PATH_BYTES];
    DIR *list = opendir(folder);
    struct dirent *entry;

    assert_non_null(list);
    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] != '.') {
            real_name(path, entry->d_name);
            assert_int_equal(unlink(path), 0);
        }
    }
    (void)closedir(list);
    assert_int_equal(rmdir(folder), 0);
}

void real_name(char path[REAL_PATH_BYTES], const char *name) {
    int size = snprintf(path, REAL_PATH_BYTES, "%s/%s", folder, name);

    assert_true(size > 0 && size < REAL_PATH_BYTES);
}

int real_exists(const char *path) {
    struct stat status;

    return stat(path, &status) == 0;
}

void real_write(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

void real_read(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY);
    ssize_t got;

    assert_true(fd >= 0);
    got = read(fd, text, size - 1);
    assert_true(got >= 0);
    text[got] = '\0';
    assert_int_equal(close(fd), 0);
}

void real_read_and_close(const char *path) {
    char text[8];

    real_read(path, text, sizeof(text));
}

void real_replace(const char *path) {
    char other[REAL_PATH_BYTES + 8];

    (void)snprintf(other, sizeof(other), "%s.new", path);
    real_write(other, "");
    assert_int_equal(rename(other, path), 0);
}

intptr_t real_descriptor_open(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

void real_descriptor_close(intptr_t descriptor) {
    assert_int_equal(close((int)descriptor), 0);
}
