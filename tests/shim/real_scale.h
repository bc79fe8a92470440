/* SPDX-License-Identifier: MIT */
/* What tests in great numbers need of the system: one file a system. */
#ifndef EVENSHIM_TESTS_REAL_SCALE_H
#define EVENSHIM_TESTS_REAL_SCALE_H

/* Lets this process open so many files. A failure ends the test. */
void real_allow_files(int count);

#endif
