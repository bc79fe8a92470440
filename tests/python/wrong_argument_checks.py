# SPDX-License-Identifier: MIT
"""How the rows of the tables of wrong arguments are judged, and where an answer may differ.

On Linux the stock selector loop of the Python that runs is asked the same, each time anew;
elsewhere its recorded answers (linux_answers.py) are looked up. An answer that differs on purpose
is in DIFFERENCES, one that another system cannot give in OTHER_SYSTEM, each with its reason.
"""

from __future__ import annotations

import functools
import json
import linecache
import platform
import sys

import linux_answers
import pytest
import support
import wrong_arguments as tables
from wrong_arguments import Difference

LINUX = sys.platform == "linux"

# A function in C that takes nothing is not called when something is given: CPython refuses it, with
# a TypeError as for one in Python, in its words for functions in C.
IN_C = (
    r"\['raises', 'TypeError', .*(takes (no|exactly|at most)|(unexpected|invalid) keyword"
    r"|missing required|given by name|(Transport|Mixin)\.\w+\(\) (takes|missing|got))"
)

DIFFERENCES = [
    Difference(
        ".*",
        ".*too many|an unknown keyword|nothing|no .*|the first twice",
        "a function in C that takes nothing or named arguments, or that several transports share",
        IN_C,
    ),
    Difference(
        "start_tls.*",
        "nothing|no sslcontext",
        "ours hands the rest on to asyncio's, and counts what it names itself",
        r"\['raises', 'TypeError', .*missing \d required",
    ),
    Difference(
        "call_later|call_at",
        "(delay|when)=(nan|1j|''|text|a NUL|a surrogate|b''|bytes|bytearray|memoryview|Thing"
        "|a type|a function|\\(.*|\\[.*|{})",
        "the stock loop takes what it cannot sort its timers by, and fails in a later turn",
        r"\['raises', '(ValueError|TypeError)'",
    ),
    Difference(
        "create_connection",
        "happy_eyeballs_delay=nan",
        "the same: no timer at NaN",
        r"\['raises', '(ValueError|ExceptionGroup)'",
    ),
    Difference(
        r"(stream writer\.)?start_tls.*",
        "ssl_(handshake|shutdown)_timeout=nan",
        "no timer at NaN",
        r"\['raises', 'ValueError', 'ssl_\w+ should be a positive number, got nan'",
    ),
    Difference(
        "call_.*",
        "context=.*",
        "what is no context fails as contextvars say it, where the stock handle looks for `run`",
        r".*Exception in callback function\(\).* TypeError",
    ),
    Difference(
        "create_connection",
        "good",
        "the future that two loops fight over is told of the closed socket",
        r".*attached to a different loop.*Future exception was never retrieved",
        "another loop",
    ),
    Difference(
        "connect_accepted_socket",
        "sock=a TransportSocket",
        "it has a descriptor, which is what the transport needs; stock lacks its recv()",
        r"\['gives'",
    ),
    Difference(
        "((tcp|tls|write pipe) transport|stream writer).(write|writelines|write_eof)",
        "good",
        "a closed loop has given the connection up: that is said, where stock sends what fits",
        r"\['raises', 'RuntimeError', 'Event loop is closed'",
        "(open|ended), closed",
    ),
    Difference(
        "(tcp transport|stream writer).writelines",
        ".*",
        "fixed in later asyncios: the connection is closing, so nothing is sent",
        r"\['gives', 'None'",
        "(closing|aborted), .*",
    ),
    Difference(
        "(tcp transport|stream writer).writelines",
        r"list_of_data=\[None\]",
        "late asyncios leave out what is false before they see that it is no bytes",
        r"\['raises', 'TypeError', .*bytes-like",
    ),
    Difference(
        "write pipe transport.(abort|close|write_eof)",
        "good|by keyword",
        "the stock pipe, once its end has been reported, fails for lack of a loop; ours has ended",
        r"\['gives', 'None'",
        "(closing|aborted|ended), .*",
    ),
    Difference(
        ".*datagram transport.(sendto|abort)",
        ".*",
        "the same: a lost endpoint sends nothing",
        r"\['gives', 'None'",
        "(closing|aborted), .*",
    ),
    Difference(
        "datagram transport.sendto",
        "good",
        "without an address it cannot be sent, loop or no loop",
        r"\['gives', 'None', False, \['Fatal write error",
        "open, closed",
    ),
    Difference(
        "connect_write_pipe",
        "pipe=a.*(socket|SSLSocket)",
        "the stock transport reads from a socket to notice its end; when there is data it ends "
        "twice, and the second time takes the loop's run with it",
        r"\['gives'",
    ),
]


if sys.version_info < (3, 11, 4):
    DIFFERENCES.append(
        Difference(
            r"((connected )?datagram|read pipe) transport\.(is|pause|resume)_reading",
            ".*",
            "the stock loop has these methods from 3.11.4 on (gh-103607), ours always",
        )
    )

if support.is_here("no-gil"):
    DIFFERENCES.append(
        Difference(
            ".*",
            ".*",
            "without a GIL another thread is told before anything is touched (docs/python.md)",
            r"\['raises', 'RuntimeError', 'Non-thread-safe operation invoked",
            "another thread",
        )
    )

# Where Windows, or the Python there without any loop, has another answer than Linux.
SYSTEM_ERROR = r"\['raises', '\w+', '\[(WinError|Errno) \d+\]"
OTHER_SYSTEM = [
    Difference(
        "(add|remove)_signal_handler|create_unix_(connection|server)",
        ".*",
        "not there yet: signal-handlers-on-windows and unix-sockets-on-windows of platforms.md",
        r"\['raises', ('NotImplementedError'|'TypeError', 'AbstractEventLoop)",
    ),
    Difference(
        "add_(reader|writer)",
        "fd=a pipe's .*",
        "only sockets can be polled: readers-of-pipes of platforms.md",
        r"\['raises', 'PermissionError', '\[Errno 1\]",
    ),
    Difference(
        ".*",
        "(sock|pipe)=a (closed socket|socket closed behind its back)",
        "a number that is no socket is told as that, WSAENOTSOCK, and not as a bad descriptor",
        r"\['raises', 'OSError', '\[(WinError|Errno) 10038\]",
    ),
    Difference(
        "sock_(connect|sendall|sendto|sendfile)",
        "sock=(an unconnected|a listening|a datagram) socket",
        "which of its errors the system has for a socket that has no peer",
        SYSTEM_ERROR,
    ),
    Difference(
        "connect_read_pipe",
        "pipe=an (unconnected socket|SSLSocket)",
        "the system never says that a socket without a peer may be read",
        r"\['gives'",
    ),
    Difference(
        "connect_read_pipe",
        "pipe=a pipe's write end",
        "the system refuses to read at once; on Linux nothing ever happens to that end",
        r"\['gives', .*Fatal read error on pipe transport",
    ),
    # A pipe that was closed, and one whose loop was, may end some turns later, or never.
    Difference(
        "(start_tls|sendfile) of (read|write) pipe",
        ".*",
        "a repr() says whether it has ended",
        r"\['raises', 'TypeError', 'transport <\w+PipeTransport closing",
        "(closing|aborted), .*",
    ),
    Difference(
        "(read|write) pipe transport.get_protocol",
        ".*",
        "until it has ended it has its protocol",
        r"\['gives', '(Base)?Protocol', True",
        "(closing|aborted), .*",
    ),
    Difference(
        "(read|write) pipe transport.set_protocol",
        ".*",
        "whether it can tell the new protocol is chance",
        r"\['gives', 'None', (True|False), \[('Exception in callback _call_connection_lost|\])",
        "(open|closing|aborted), .*",
    ),
    Difference(
        "sock_sendfile",
        "good",
        "what can be sent at once needs no future that could belong to another loop",
        r"\['gives', '7'",
        "another loop",
    ),
    Difference(
        "sock_sendfile|sendfile of tcp",
        "file=.*(socket|Socket|SSLSocket)",
        "the system's sendfile says nothing of a socket in a file's place, which cannot be read",
        r"\['raises', 'AttributeError', .*'readinto'",
    ),
    Difference(
        "sock_sendfile|sendfile of tcp",
        "offset=huge",
        "the words of seek()",
        r"\['raises', 'OverflowError'",
    ),
    Difference(
        "sock_sendfile|sendfile of tcp",
        "count=huge",
        "more than there is: without a sendfile no number has to fit into a size_t",
        r"\['gives', '7'",
    ),
    Difference(
        "create_(connection|server|datagram_endpoint)",
        "(family|proto)=(True|-1)",
        "the resolver knows other families and protocols",
        r"\['(gives|raises', 'gaierror)'",
    ),
    Difference(
        "getaddrinfo",
        "good|by keyword|host=None|(port|family|type|proto|flags)=.*",
        "the resolver names no socket types and no protocols, and minds fewer flags",
        r"\['gives', \['list'",
    ),
    Difference(
        "getnameinfo",
        "flags=(True|-1)",
        "its flags have other numbers",
        r"\['(gives|raises', 'gaierror)'",
    ),
    Difference(
        "create_(server|datagram_endpoint)",
        "reuse_port=.*",
        "there is no SO_REUSEPORT, which asyncio says in words of its own",
        r"\['raises', 'ValueError', 'reuse_port not supported by socket module'",
    ),
    Difference(
        "subprocess_exec",
        "program=(''|b''|a NUL)",
        "CreateProcess refuses no program, and Python a NUL, in words of their own",
        r"\['raises', ('OSError', '\[WinError 87\]|'ValueError', 'embedded null character')",
    ),
    Difference(
        "(subprocess transport|process).send_signal",
        "signal=(-1|huge|minus huge)",
        "there are three signals, and Popen says of another number that it does not support it",
        r"\['raises', 'ValueError', 'Unsupported signal: ",
    ),
    Difference(
        "(subprocess transport|process).send_signal",
        "signal=(0|True)",
        "these two are CTRL_C_EVENT and CTRL_BREAK_EVENT, which only a console's group can be sent",
        SYSTEM_ERROR,
    ),
]


@functools.cache
def linux():
    """What Linux answers to the running Python's questions, where it was recorded."""
    try:
        return linux_answers.recorded()
    except FileNotFoundError:
        return None


def against_stock(question):
    """What differs from the stock loop, or from what the record says that it says."""
    where = question.group, question.row, question.state
    record = linux()
    if record is not None and record.python == platform.python_version():  # of this very Python
        said = linux_answers.said(question, support.reference_loop)
        if not linux_answers.says(record, *where, said):
            return f"{question.row} ({question.state}): stale, run linux_answers.py"
    return tables.compare(*where, question.ask, DIFFERENCES)


def against_record(question):
    """The same as compare() with the record; what is warned is not compared."""
    record = linux()
    assert record is not None, f"run linux_answers.py with Python {linux_answers.VERSION} on Linux"
    ours = question.ask(support.new_loop, False)
    where = question.group, question.row, question.state
    if any(each.covers(*where, ours) for each in (*DIFFERENCES, *OTHER_SYSTEM)):
        return None
    said = json.loads(json.dumps(linux_answers.portable(ours)))
    theirs = record.answer(*where)
    return None if said == theirs else f"{where[1]} ({where[2]}): {said} instead of {theirs}"


def check(questions):
    """Puts all questions, and fails with what differs."""
    ask = against_stock if LINUX else against_record
    asked = list(questions)
    with pytest.MonkeyPatch.context() as patch:
        # In debug mode each future keeps its stack, and for each line of it `traceback` asks
        # whether a file has changed: most of the time of a run under Wine.
        patch.setattr(linecache, "checkcache", lambda filename=None: None)
        wrong = [text for text in map(ask, asked) if text is not None]
    tables.judge(wrong, len(asked))
