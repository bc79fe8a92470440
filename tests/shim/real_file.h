/* SPDX-License-Identifier: MIT */
/* What tests on real files need of the system beside evenshim: one file a system. None of it goes
 * through the table of system calls. A failure here fails the test. */
#ifndef EVENSHIM_TESTS_REAL_FILE_H
#define EVENSHIM_TESTS_REAL_FILE_H

#include <stddef.h>
#include <stdint.h>

enum { REAL_PATH_BYTES = 512 };

/* A path that is no file and always there. */
extern const char *const real_null_device;

/* A folder of one's own, empty; removed with what is in it. */
void real_folder_make(void);
void real_folder_remove(void);

/* The path of `name` in that folder; "" is the folder. */
void real_name(char path[REAL_PATH_BYTES], const char *name);

int real_exists(const char *path);
void real_write(const char *path, const char *text); /* replaces the contents */
void real_read(const char *path, char *text, size_t size);
void real_read_and_close(const char *path);
void real_replace(const char *path); /* by another file of the same name */

/* A descriptor or HANDLE for reading and writing, as other code opens it. */
intptr_t real_descriptor_open(const char *path);
void real_descriptor_close(intptr_t descriptor);

#endif
