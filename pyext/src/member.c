/* SPDX-License-Identifier: MIT */
/* The objects that the engine may call, as a list of their loop.
 *
 * An asyncio transport lives as long as its loop watches its socket: the selector's map refers
 * to it. The engine's own structures can't be seen by the garbage collector, so the reference is
 * kept here, where the loop's tp_traverse finds it: a loop and its connections that nobody else
 * knows are collected together, and a connection that nobody watches any more is collected
 * alone, with asyncio's warning.
 */
#include "core.h"

void ev_member_join(ev_loop_t *loop, ev_member_t *member, PyObject *object,
                    void (*loop_closing)(PyObject *object)) {
    member->object = object;
    member->held = false;
    member->loop_closing = loop_closing;
    member->next = loop->members;
    if (member->next != NULL) {
        member->next->link = &member->next;
    }
    member->link = &loop->members;
    loop->members = member;
}

void ev_member_leave(ev_member_t *member) {
    if (member->link == NULL) {
        return;
    }
    *member->link = member->next;
    if (member->next != NULL) {
        member->next->link = member->link;
    }
    member->link = NULL;
    member->next = NULL;
    ev_member_release(member);
}

void ev_member_hold(ev_member_t *member) {
    if (!member->held && member->link != NULL) {
        member->held = true;
        Py_INCREF(member->object);
    }
}

void ev_member_release(ev_member_t *member) {
    if (member->held) {
        member->held = false;
        Py_DECREF(member->object);
    }
}

int ev_members_traverse(ev_loop_t *loop, visitproc visit, void *arg) {
    for (ev_member_t *member = loop->members; member != NULL; member = member->next) {
        if (member->held) {
            Py_VISIT(member->object);
        }
    }
    return 0;
}

void ev_members_close(ev_loop_t *loop) {
    while (loop->members != NULL) {
        ev_member_t *member = loop->members;
        PyObject *object = Py_NewRef(member->object);
        ev_member_leave(member);
        member->loop_closing(object);
        Py_DECREF(object);
    }
}
