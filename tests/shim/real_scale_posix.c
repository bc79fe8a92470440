/* SPDX-License-Identifier: MIT */
#include "real_scale.h"

#include "check.h"

#include <sys/resource.h>

void real_allow_files(int count) {
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < (rlim_t)count) {
        limit.rlim_cur = (rlim_t)count;
        assert_true(limit.rlim_max >= (rlim_t)count); /* `ulimit -Hn` has to be raised */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
}
