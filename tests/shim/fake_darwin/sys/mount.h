/* SPDX-License-Identifier: MIT */
/* What the Darwin lock leaf needs beside kqueue, declared for Linux. */
#ifndef EVENSHIM_TESTS_FAKE_MOUNT_H
#define EVENSHIM_TESTS_FAKE_MOUNT_H

#include <sys/statfs.h>

int fake_fstatfs(int fd, struct statfs *status);
#define fstatfs      fake_fstatfs

#define F_GETPATH    50
#define MNT_LOCAL    0x1000
#define SO_NOSIGPIPE 0x1022

#endif
