/* SPDX-License-Identifier: MIT */
#include "real_file.h"

#include "check.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

const char *const real_null_device = "NUL";

static char folder[REAL_PATH_BYTES];

void real_folder_make(void) {
    static int count;
    char base[MAX_PATH];

    assert_true(GetTempPathA(sizeof(base), base) > 0);
    (void)snprintf(folder, sizeof(folder), "%sevenshim-%lu-%d", base,
                   (unsigned long)GetCurrentProcessId(), count++);
    assert_true(CreateDirectoryA(folder, NULL));
}

void real_folder_remove(void) {
    char path[REAL_PATH_BYTES];
    WIN32_FIND_DATAA entry;
    HANDLE list;

    real_name(path, "*");
    list = FindFirstFileA(path, &entry);
    assert_true(list != INVALID_HANDLE_VALUE);
    do {
        if (entry.cFileName[0] != '.') {
            real_name(path, entry.cFileName);
            assert_true(DeleteFileA(path));
        }
    } while (FindNextFileA(list, &entry));
    (void)FindClose(list);
    assert_true(RemoveDirectoryA(folder));
}

void real_name(char path[REAL_PATH_BYTES], const char *name) {
    int size = snprintf(path, REAL_PATH_BYTES, "%s\\%s", folder, name);

    assert_true(size > 0 && size < REAL_PATH_BYTES);
}

int real_exists(const char *path) {
    return GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES;
}

static HANDLE open_path(const char *path, DWORD access, DWORD disposition) {
    HANDLE file = CreateFileA(path, access, SHARE_ALL, NULL, disposition, 0, NULL);

    assert_true(file != INVALID_HANDLE_VALUE);
    return file;
}

void real_write(const char *path, const char *text) {
    HANDLE file = open_path(path, GENERIC_WRITE, CREATE_ALWAYS);
    DWORD put = 0;

    assert_true(WriteFile(file, text, (DWORD)strlen(text), &put, NULL));
    assert_int_equal(put, strlen(text));
    assert_true(CloseHandle(file));
}

void real_read(const char *path, char *text, size_t size) {
    HANDLE file = open_path(path, GENERIC_READ, OPEN_EXISTING);
    DWORD got = 0;

    assert_true(ReadFile(file, text, (DWORD)(size - 1), &got, NULL));
    text[got] = '\0';
    assert_true(CloseHandle(file));
}

void real_read_and_close(const char *path) {
    char text[8];

    real_read(path, text, sizeof(text));
}

/* The old file is open, so it can be renamed but not replaced. */
void real_replace(const char *path) {
    char other[REAL_PATH_BYTES + 8];

    (void)snprintf(other, sizeof(other), "%s.old", path);
    assert_true(MoveFileA(path, other));
    real_write(path, "");
}

intptr_t real_descriptor_open(const char *path) {
    return (intptr_t)open_path(path, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING);
}

void real_descriptor_close(intptr_t descriptor) {
    assert_true(CloseHandle((HANDLE)descriptor));
}
