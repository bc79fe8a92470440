/* SPDX-License-Identifier: MIT */
/* The whole-file lock of evenshim/lock.h, as a model that Spin searches completely: N processes take three bytes of a file
 * in the order RESERVED, GATE, DATA, upgrade, downgrade, give up and die at every point, for ever.
 *
 * What a byte does is what every system's kernel promises for one byte: any number of shared holders or one exclusive one,
 * no order among those who wait, and nothing left of who died. What is proven of that:
 *   - exclusion: who believes to hold the file exclusively is alone, an upgrader included, at every instant;
 *   - no deadlock: never does everybody wait;
 *   - gate_is_served: who has the gate gets the file, however many readers come (under weak fairness);
 *   - progress: locks are granted for ever (the same).
 * Deaths and cancelled waits come out of a purse of a few, else they would hide every deadlock: in all states with an empty
 * purse nobody can leave a wait but by being granted. tests/model/check.py runs it, each FAULT_ below has to be found.
 *
 * CONVERT_SPLIT: a system that cannot turn a shared lock into an exclusive one (LockFileEx): it lets go and locks again.
 * ADOPT: locks are also given to a descriptor of somebody else's (ES_LOCK_ADOPT, a shell's `9>>FILE`), here the heir: it has
 * DATA alone, keeps it when the process that got it dies, and may want the other kind of lock while it has one. */

#ifndef N
#define N 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef CANCELS
#define CANCELS 1
#endif

#define GATE     0
#define RESERVED 1
#define DATA     2

byte shared_count[3];
bool exclusive[3];
byte deaths = DEATHS;
byte cancels = CANCELS;

/* What the processes believe; nothing below decides by it. */
byte readers;
byte writers;
bool first_has_gate;

#define FREE_FOR_SHARED(b)    (!exclusive[b])
#define FREE_FOR_EXCLUSIVE(b) (!exclusive[b] && shared_count[b] == 0)

#define EXCLUSION assert(writers == 0 || (writers == 1 && readers == 0))

/* Each waits for one byte; instead the wait may be cancelled, or the process die. */
#define WAIT_SHARED(b, cancelled)                                                                                      \
    if                                                                                                                 \
    :: atomic { FREE_FOR_SHARED(b) -> shared_count[b]++; has_shared[b] = true }                                        \
    :: atomic { cancels > 0 && !FREE_FOR_SHARED(b) -> cancels--; goto cancelled }                                      \
    :: atomic { deaths > 0 -> deaths--; goto death }                                                                   \
    fi

#define WAIT_EXCLUSIVE(b, cancelled)                                                                                   \
    if                                                                                                                 \
    :: atomic { FREE_FOR_EXCLUSIVE(b) -> exclusive[b] = true; has_exclusive[b] = true }                                \
    :: atomic { cancels > 0 && !FREE_FOR_EXCLUSIVE(b) -> cancels--; goto cancelled }                                   \
    :: atomic { deaths > 0 -> deaths--; goto death }                                                                   \
    fi

#define DROP_SHARED(b)    atomic { shared_count[b]--; has_shared[b] = false }
#define DROP_EXCLUSIVE(b) atomic { exclusive[b] = false; has_exclusive[b] = false }

#define DROP_ALL(b)                                                                                                    \
    atomic {                                                                                                           \
        shared_count[b] = shared_count[b] - has_shared[b];                                                             \
        exclusive[b] = exclusive[b] && !has_exclusive[b];                                                              \
        has_shared[b] = false;                                                                                         \
        has_exclusive[b] = false                                                                                       \
    }

#define MAY_DIE                                                                                                        \
    if                                                                                                                 \
    :: atomic { deaths > 0 -> deaths--; goto death }                                                                   \
    :: skip                                                                                                            \
    fi

#define TAKE_GATE                                                                                                      \
    atomic {                                                                                                           \
        if                                                                                                             \
        :: _pid == 0 -> first_has_gate = true                                                                          \
        :: else                                                                                                        \
        fi                                                                                                             \
    }
#define LEAVE_GATE                                                                                                     \
    atomic {                                                                                                           \
        exclusive[GATE] = false;                                                                                       \
        has_exclusive[GATE] = false;                                                                                   \
        if                                                                                                             \
        :: _pid == 0 -> first_has_gate = false                                                                         \
        :: else                                                                                                        \
        fi                                                                                                             \
    }

active [N] proctype process() {
    bool has_shared[3];
    bool has_exclusive[3];
    bool reads;
    bool writes;
#ifdef ADOPT
    bool adopts;
#endif

idle:
    if
#ifdef ADOPT
    :: atomic { adopts = false; goto want_shared }
    :: atomic { adopts = false; goto want_exclusive }
    :: atomic { adopts = true; goto want_shared }
    :: atomic { adopts = true; goto want_exclusive }
#else
    :: goto want_shared
    :: goto want_exclusive
#endif
    fi;

want_shared:
#ifdef FAULT_READER_TAKES_DATA_FIRST
    WAIT_SHARED(DATA, idle);
    WAIT_SHARED(GATE, no_gate_for_reader);
#elif !defined(FAULT_READER_SKIPS_GATE)
    WAIT_SHARED(GATE, idle);
    if
    :: atomic { FREE_FOR_SHARED(DATA) -> shared_count[DATA]++; has_shared[DATA] = true }
    :: atomic { !FREE_FOR_SHARED(DATA) -> shared_count[GATE]--; has_shared[GATE] = false; goto wait_without_gate }
    :: atomic { deaths > 0 -> deaths--; goto death }
    fi;
#else
    WAIT_SHARED(DATA, idle);
#endif
reader_has_data:
    atomic { reads = true; readers++; EXCLUSION };
progress_shared:
    MAY_DIE;
#ifdef ADOPT
    if
    :: adopts -> has_shared[DATA] = false /* the heir's, which took it beside ours */
    :: else
    fi;
#endif
    atomic { shared_count[GATE] = shared_count[GATE] - has_shared[GATE]; has_shared[GATE] = false };
#ifdef ADOPT
    if
    :: adopts -> goto heir_reads
    :: else
    fi;
#endif
    goto hold_shared;

wait_without_gate:
    /* In the system's queue, which grants DATA past a gate that was shut meanwhile; or until told, and then anew. */
    if
    :: atomic { FREE_FOR_SHARED(DATA) -> shared_count[DATA]++; has_shared[DATA] = true; goto reader_has_data }
    :: atomic { FREE_FOR_SHARED(DATA) -> goto want_shared }
    :: atomic { cancels > 0 && !FREE_FOR_SHARED(DATA) -> cancels--; goto idle }
    :: atomic { deaths > 0 -> deaths--; goto death }
    fi;

#ifdef FAULT_READER_TAKES_DATA_FIRST
no_gate_for_reader:
    DROP_SHARED(DATA);
    goto idle;
#endif

hold_shared:
    MAY_DIE;
    if
    :: goto upgrade
    :: goto release_shared
    fi;

release_shared:
    atomic { reads = false; readers--; shared_count[DATA]--; has_shared[DATA] = false };
    goto idle;

want_exclusive:
#ifndef FAULT_WRITER_SKIPS_RESERVED
    WAIT_EXCLUSIVE(RESERVED, idle);
#endif
    WAIT_EXCLUSIVE(GATE, no_gate);
    TAKE_GATE;
    WAIT_EXCLUSIVE(DATA, no_data);
#ifdef ADOPT
    if
    :: adopts -> goto bequeath
    :: else
    fi;
#endif
    atomic { writes = true; writers++; EXCLUSION };
progress_exclusive:
    MAY_DIE;
    LEAVE_GATE;
    MAY_DIE;
#ifndef FAULT_WRITER_SKIPS_RESERVED
    DROP_EXCLUSIVE(RESERVED);
#endif
    goto hold_exclusive;

no_data:
    LEAVE_GATE;
no_gate:
#ifndef FAULT_WRITER_SKIPS_RESERVED
    DROP_EXCLUSIVE(RESERVED);
#endif
    goto idle;

hold_exclusive:
    MAY_DIE;
    if
    :: goto downgrade
    :: atomic { writes = false; writers--; exclusive[DATA] = false; has_exclusive[DATA] = false };
       goto idle
    fi;

downgrade:
    /* One step also where it is two calls: the shared lock stacks on the exclusive one, which goes first. */
    atomic {
        writes = false;
        writers--;
        exclusive[DATA] = false;
        has_exclusive[DATA] = false;
        reads = true;
        readers++;
        shared_count[DATA]++;
        has_shared[DATA] = true;
        EXCLUSION
    };
    goto hold_shared;

upgrade:
    /* Whoever has RESERVED waits for our DATA: to wait for it would be for ever, so this is a try. A refused upgrader keeps
     * its shared lock, and to be of use to the other one it lets go of it in the end. */
#ifdef FAULT_UPGRADE_WAITS
    WAIT_EXCLUSIVE(RESERVED, release_shared);
#else
#ifndef FAULT_UPGRADE_SKIPS_RESERVED
    if
    :: atomic { FREE_FOR_EXCLUSIVE(RESERVED) -> exclusive[RESERVED] = true; has_exclusive[RESERVED] = true }
#ifdef FAULT_UPGRADE_INSISTS
    :: !FREE_FOR_EXCLUSIVE(RESERVED) -> goto upgrade
#else
    :: !FREE_FOR_EXCLUSIVE(RESERVED) -> goto release_shared
#endif
    fi;
#endif
#endif
#ifndef FAULT_UPGRADE_SKIPS_RESERVED
    WAIT_EXCLUSIVE(GATE, upgrade_without_gate);
    TAKE_GATE;
#endif
#if defined(CONVERT_SPLIT) || defined(FAULT_UPGRADE_SKIPS_RESERVED)
    DROP_SHARED(DATA);
    WAIT_EXCLUSIVE(DATA, upgrade_without_data);
#else
    if
    :: atomic {
           !exclusive[DATA] && shared_count[DATA] == 1 ->
           shared_count[DATA] = 0;
           has_shared[DATA] = false;
           exclusive[DATA] = true;
           has_exclusive[DATA] = true
       }
    :: atomic { cancels > 0 && shared_count[DATA] != 1 -> cancels--; goto upgrade_without_data }
    :: atomic { deaths > 0 -> deaths--; goto death }
    fi;
#endif
    /* The upgrader was a reader until here, in the instant without DATA, too: whoever was let in between fails this. */
    atomic { reads = false; readers--; writes = true; writers++; EXCLUSION };
progress_upgraded:
#ifndef FAULT_UPGRADE_SKIPS_RESERVED
    LEAVE_GATE;
    MAY_DIE;
    DROP_EXCLUSIVE(RESERVED);
#endif
    goto hold_exclusive;

upgrade_without_data:
#if defined(CONVERT_SPLIT) || defined(FAULT_UPGRADE_SKIPS_RESERVED)
    /* Behind our gate this can't have to wait. */
    atomic {
#ifndef FAULT_UPGRADE_SKIPS_RESERVED
        assert(FREE_FOR_SHARED(DATA));
#endif
        FREE_FOR_SHARED(DATA) -> shared_count[DATA]++; has_shared[DATA] = true
    };
#endif
#ifndef FAULT_UPGRADE_SKIPS_RESERVED
    LEAVE_GATE;
#endif
upgrade_without_gate:
#ifndef FAULT_UPGRADE_SKIPS_RESERVED
    DROP_EXCLUSIVE(RESERVED);
#endif
    goto hold_shared;

#ifdef ADOPT
bequeath:
    /* An exclusive lock cannot go from one owner to another in one step. The doors are ours meanwhile, so that only a reader
     * that stands in the queue can come between, and then the wait goes on. */
#ifdef FAULT_BEQUEST_IS_TAKEN_FOR_GRANTED
    atomic { writes = true; writers++; EXCLUSION };
#endif
    DROP_EXCLUSIVE(DATA);
    if
    :: atomic {
           FREE_FOR_EXCLUSIVE(DATA) ->
           exclusive[DATA] = true;
#ifndef FAULT_BEQUEST_IS_TAKEN_FOR_GRANTED
           writes = true;
           writers++;
#endif
           EXCLUSION
       }
    :: !FREE_FOR_EXCLUSIVE(DATA) -> WAIT_EXCLUSIVE(DATA, no_data); goto bequeath
    :: atomic { deaths > 0 -> deaths--; goto death }
    fi;
progress_bequeathed:
    /* A death here does no more than these two. */
    LEAVE_GATE;
    DROP_EXCLUSIVE(RESERVED);
    goto heir_writes;

heir_reads:
progress_heir_reads:
    if
    :: atomic { reads = false; readers--; shared_count[DATA]--; goto idle } /* its last copy is closed */
    :: atomic { /* it wants to write: in one step if nobody is in the way, */
           shared_count[DATA] == 1 ->
           shared_count[DATA] = 0;
           exclusive[DATA] = true;
           reads = false;
           readers--;
           writes = true;
           writers++;
           EXCLUSION;
           goto heir_writes
       }
    :: atomic { /* else it waits without what it had, since two that kept theirs would wait for each other */
           shared_count[DATA] > 1 ->
           reads = false;
           readers--;
#ifndef FAULT_HEIR_KEEPS_ITS_OLD_LOCK
           shared_count[DATA]--;
#endif
           goto want_exclusive
       }
    fi;

heir_writes:
progress_heir_writes:
    if
    :: atomic { writes = false; writers--; exclusive[DATA] = false; goto idle }
    :: atomic { /* to shared, but not past a gate that a waiting writer has shut */
           FREE_FOR_SHARED(GATE) ->
           writes = false;
           writers--;
           exclusive[DATA] = false;
           reads = true;
           readers++;
           shared_count[DATA]++;
           EXCLUSION;
           goto heir_reads
       }
    :: atomic {
           !FREE_FOR_SHARED(GATE) -> writes = false; writers--; exclusive[DATA] = false; goto want_shared
       }
    fi;
#endif

death:
    /* The kernel lets go of all that the process held, byte by byte, and a new process takes its place. */
    atomic {
        if
        :: _pid == 0 -> first_has_gate = false
        :: else
        fi;
        readers = readers - reads;
        writers = writers - writes;
        reads = false;
        writes = false
    };
#ifdef FAULT_DOORS_ARE_THE_HEIRS
    if
    :: adopts -> has_shared[GATE] = false; has_exclusive[GATE] = false; has_exclusive[RESERVED] = false
    :: else
    fi;
#endif
    DROP_ALL(DATA);
    DROP_ALL(GATE);
    DROP_ALL(RESERVED);
    goto idle
}

#ifdef LIVENESS
ltl gate_is_served { [] (first_has_gate -> <> !first_has_gate) }
#endif
