/* SPDX-License-Identifier: MIT */
/* The part of a child process that the facts about locks start of this program. */
#ifndef EVENSHIM_TESTS_LOCK_PROCESS_FACTS_H
#define EVENSHIM_TESTS_LOCK_PROCESS_FACTS_H

/* First in main: the exit code of a child, or -1 in any other process. */
int lock_child(int argc, char **argv);

#endif
