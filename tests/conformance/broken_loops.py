# SPDX-License-Identifier: MIT
"""Loops that misbehave in one way each: what the kit must survive and name."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time


class Sound(asyncio.SelectorEventLoop):
    """The stock selector loop, nothing broken."""


class HangsInRun(asyncio.SelectorEventLoop):
    def run_forever(self):
        while True:
            time.sleep(1)


class HangsInClose(asyncio.SelectorEventLoop):
    def close(self):
        threading.Event().wait()


class SpinsInClose(asyncio.SelectorEventLoop):
    def close(self):
        while True:
            pass


class Exits(asyncio.SelectorEventLoop):
    def run_forever(self):
        os._exit(3)


class KillsItself(asyncio.SelectorEventLoop):
    def run_forever(self):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        time.sleep(60)


class KillsItsParent(asyncio.SelectorEventLoop):
    def run_forever(self):
        os.kill(os.getppid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        time.sleep(60)


class Prints(asyncio.SelectorEventLoop):
    def close(self):
        print("a loop says hello")
        super().close()


class ClosesStdout(asyncio.SelectorEventLoop):
    def close(self):
        os.close(1)
        super().close()


class ClosesEverything(asyncio.SelectorEventLoop):
    def close(self):
        super().close()
        os.closerange(0, 200)


class Forks(asyncio.SelectorEventLoop):
    """Its copy goes on with the check, and one more process stays."""

    def run_forever(self):
        os.fork()
        super().run_forever()


class LeavesAProcess(asyncio.SelectorEventLoop):
    def run_forever(self):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        super().run_forever()


class HangsBesideAChild(asyncio.SelectorEventLoop):
    """The child's connection to KIT_TEST_PORT tells for how long it lives."""

    def run_forever(self):
        code = (
            "import socket, sys, time; "
            f"sock = socket.create_connection(('127.0.0.1', {os.environ['KIT_TEST_PORT']})); "
            "print('connected', flush=True); time.sleep(60)"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(60)


class LeavesAThread(asyncio.SelectorEventLoop):
    def close(self):
        super().close()
        threading.Thread(target=threading.Event().wait, name="lost", daemon=True).start()


class Complains(asyncio.SelectorEventLoop):
    def close(self):
        self.call_exception_handler({"message": "without a reason"})
        super().close()


class LacksIt(asyncio.SelectorEventLoop):
    def call_soon(self, callback, *args, context=None):
        raise NotImplementedError("no callbacks here")


class LacksTheName(asyncio.SelectorEventLoop):
    """Has no call_soon when a check asks for it; asyncio's own cleaning up finds it."""

    asked = False

    def __getattribute__(self, name):
        if name == "call_soon" and not self.asked:
            self.asked = True
            raise AttributeError("no call_soon", name=name, obj=self)
        return super().__getattribute__(name)


class Reverses(asyncio.SelectorEventLoop):
    def run_forever(self):
        ours = list(self._ready)
        self._ready.clear()
        self._ready.extend(reversed(ours[:-1]))
        self._ready.append(ours[-1])
        super().run_forever()


class RaisesSystemExit(asyncio.SelectorEventLoop):
    def run_forever(self):
        sys.exit("the loop has had enough")


def raises():
    raise RuntimeError("no loop today")


class WithoutWords(Exception):
    def __str__(self):
        raise ValueError("no words")


def raises_without_words():
    raise WithoutWords


def exits():
    sys.exit(7)


class TalksMuch(asyncio.SelectorEventLoop):
    """Its words have lines, colours, and what no encoding has."""

    def call_soon(self, callback, *args, context=None):
        raise RuntimeError("a\nbad\udc80\x1b" + "x" * 1_000_000)


def nonsense():
    return 42


not_callable = "a text"
