/* SPDX-License-Identifier: MIT */
#include "real_scale.h"

void real_allow_files(int count) {
    (void)count; /* handles are not limited */
}
