# SPDX-License-Identifier: MIT
"""The stock selector loop with one deliberate fault each, and the checks that must notice.

A fault is what a loop has really done wrong somewhere, or could. `caught_by` names the checks of
which at least one has to notice it; test_mutations.py runs them.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import concurrent.futures
import contextvars
import os
import signal
import socket
import subprocess

Base = asyncio.SelectorEventLoop
StockTransport = asyncio.selector_events._SelectorSocketTransport
StockDatagrams = asyncio.selector_events._SelectorDatagramTransport
FAULTS: dict[str, tuple[str, ...]] = {}


class Sound(Base):
    """No fault: what the same checks say ok to."""


def caught_by(*checks):
    def register(cls):
        FAULTS[cls.__name__] = checks
        return cls

    return register


# -- core -----------------------------------------------------------------------------------------


@caught_by("core.call_soon_fifo")
class LastInFirstOut(Base):
    def call_soon(self, callback, *args, context=None):
        handle = super().call_soon(callback, *args, context=context)
        if getattr(callback, "__name__", "") == "append":
            self._ready.pop()
            self._ready.appendleft(handle)
        return handle


@caught_by("core.call_soon_next_iteration", "core.stop_then_scheduled_not_run")
class RunsNewCallbacksInTheSameTurn(Base):
    def _run_once(self):
        super()._run_once()
        while self._ready and self._stopping:
            super()._run_once()


@caught_by("core.stop_before_run_forever")
class ForgetsAnEarlyStop(Base):
    def run_forever(self):
        if self._stopping:
            self.call_later(0.01, self.stop)
        self._stopping = False
        super().run_forever()


@caught_by("core.io_not_starved_by_call_soon")
class StarvesInput(Base):
    turns = 0

    def _process_events(self, events):
        self.turns += 1
        if self.turns % 50 == 0:
            super()._process_events(events)


class _PlainHandle:
    def __init__(self, handle):
        self.handle = handle

    def __getattr__(self, name):
        return getattr(self.handle, name)


@caught_by("core.handle_types")
class HandlesOfItsOwn(Base):
    def call_soon_threadsafe(self, callback, *args, context=None):
        return _PlainHandle(super().call_soon_threadsafe(callback, *args, context=context))


@caught_by("core.handle_cancel", "core.handle_cancel_in_the_same_turn")
class CannotCancel(Base):
    def call_soon(self, callback, *args, context=None):
        super().call_soon(callback, *args, context=context)
        return asyncio.Handle(callback, args, self, context)


@caught_by("core.exception_handler_context_keys")
class SwallowsExceptions(Base):
    def call_exception_handler(self, context):
        pass


@caught_by("core.exception_handler_context_keys")
class ReportsWithoutTheHandle(Base):
    def call_exception_handler(self, context):
        super().call_exception_handler({k: v for k, v in context.items() if k != "handle"})


@caught_by("core.baseexception_propagates_rest_kept", "tcp.data_received_systemexit_propagates")
class SwallowsSystemExit(Base):
    def run_forever(self):
        try:
            super().run_forever()
        except SystemExit:
            pass


@caught_by("core.baseexception_propagates_rest_kept")
class DropsTheQueueAfterSystemExit(Base):
    def run_forever(self):
        try:
            super().run_forever()
        except SystemExit:
            self._ready.clear()
            raise


@caught_by("core.debug_noncallable_rejected", "core.debug_defaults")
class HasNoDebugMode(Base):
    def set_debug(self, enabled):
        pass


@caught_by("core.close_running_rejected")
class ClosesWhileItRuns(Base):
    def close(self):
        if not self.is_running():
            super().close()


@caught_by("core.nested_run_message", "core.other_loop_running_message")
class OtherWords(Base):
    def _check_running(self):
        try:
            super()._check_running()
        except RuntimeError:
            raise RuntimeError("this loop is busy") from None


@caught_by("core.repr")
class SaysNothingOfItself(Base):
    def __repr__(self):
        return f"<{type(self).__name__}>"


@caught_by("core.run_until_complete_stopped")
class ReturnsWithoutAResult(Base):
    def run_until_complete(self, future):
        try:
            return super().run_until_complete(future)
        except RuntimeError as error:
            if "stopped before" in str(error):
                return None
            raise


# -- timers ---------------------------------------------------------------------------------------


@caught_by("timers.timer_never_early")
class FiresEarly(Base):
    def call_at(self, when, callback, *args, context=None):
        return super().call_at(when - 0.0003, callback, *args, context=context)


@caught_by("timers.timer_when_value", "timers.timer_order_sub_ms")
class RoundsToMilliseconds(Base):
    def call_at(self, when, callback, *args, context=None):
        return super().call_at(round(when, 3), callback, *args, context=context)


@caught_by("timers.time_resolution_sub_ms")
class ClockOfMilliseconds(Base):
    def time(self):
        return round(super().time(), 3)


@caught_by("timers.call_later_always_gives_a_timer_handle")
class PlainHandleForZero(Base):
    def call_later(self, delay, callback, *args, context=None):
        if delay is not None and delay <= 0:
            return self.call_soon(callback, *args, context=context)
        return super().call_later(delay, callback, *args, context=context)


@caught_by("timers.cancelled_timer_does_not_run")
class TimersCannotBeCancelled(Base):
    def call_at(self, when, callback, *args, context=None):
        super().call_at(when, callback, *args, context=context)
        return asyncio.TimerHandle(when, callback, args, self, context)


@caught_by("timers.none_is_no_time")
class TakesNoneForZero(Base):
    def call_later(self, delay, callback, *args, context=None):
        return super().call_later(delay or 0, callback, *args, context=context)


@caught_by("timers.timer_is_prompt")
class Late(Base):
    def call_at(self, when, callback, *args, context=None):
        return super().call_at(when + 0.2, callback, *args, context=context)


@caught_by("timers.input_before_due_timers")
class TimersBeforeInput(Base):
    def _process_events(self, events):
        import heapq

        now = self.time()
        while self._scheduled and self._scheduled[0].when() < now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False
            self._ready.append(timer)
        super()._process_events(events)


# -- context --------------------------------------------------------------------------------------


@caught_by("context.callbacks_run_in_the_given_context")
class IgnoresTheContext(Base):
    def call_soon(self, callback, *args, context=None):
        return super().call_soon(callback, *args)


@caught_by("context.callbacks_run_in_a_copy_of_the_callers_context")
class EmptyContext(Base):
    def call_soon(self, callback, *args, context=None):
        return super().call_soon(callback, *args, context=context or contextvars.Context())


@caught_by("context.executor_context")
class CarriesTheContextIntoThreads(Base):
    def run_in_executor(self, executor, func, *args):
        return super().run_in_executor(executor, contextvars.copy_context().run, func, *args)


# -- tasks ----------------------------------------------------------------------------------------


@caught_by("tasks.futures_and_tasks_are_asyncios", "tasks.create_task_keywords")
class ForgetsTheNamesOfTasks(Base):
    def create_task(self, coro, **kwargs):
        kwargs.pop("name", None)
        return super().create_task(coro, **kwargs)


_Task = asyncio.Task


@caught_by("tasks.create_task_looks_up_tasks_Task")
class KeepsItsTaskClass(Base):
    def create_task(self, coro, **kwargs):
        return _Task(coro, loop=self, **kwargs)


@caught_by("tasks.set_task_factory")
class TakesAnyTaskFactory(Base):
    def set_task_factory(self, factory):
        self._task_factory = factory


# -- threads --------------------------------------------------------------------------------------


@caught_by("threads.call_soon_threadsafe_wakes_idle_loop_latency")
class DoesNotWakeUp(Base):
    def _write_to_self(self):
        pass

    def run_forever(self):
        self._stop_some_time()
        super().run_forever()

    def _stop_some_time(self):
        super().call_later(0.4, self._stop_some_time)


@caught_by("threads.debug_thread_check")
class TakesCallsFromAnyThread(Base):
    def _check_thread(self):
        pass


@caught_by("threads.executor_thread_name_prefix")
class NamelessThreads(Base):
    def run_in_executor(self, executor, func, *args):
        if executor is None and self._default_executor is None:
            self._default_executor = concurrent.futures.ThreadPoolExecutor()
        return super().run_in_executor(executor, func, *args)


@caught_by("threads.set_default_executor_type")
class TakesAnyExecutor(Base):
    def set_default_executor(self, executor):
        pass


# -- shutdown -------------------------------------------------------------------------------------


@caught_by("shutdown.use_after_close")
class WorksAfterClose(Base):
    def call_soon(self, callback, *args, context=None):
        return (
            asyncio.Handle(callback, args, self, context)
            if self._closed
            else super().call_soon(callback, *args, context=context)
        )


@caught_by("shutdown.unclosed_loop_ResourceWarning")
class GoesSilently(Base):
    def __del__(self):
        if not self.is_closed():
            self.close()


@caught_by("shutdown.loop_freed_no_refcycle")
class HoldsItself(Base):
    def __init__(self):
        super().__init__()
        self.me = self


@caught_by("shutdown.loops_leave_no_descriptors", "shutdown.use_after_close")
class LeaksADescriptor(Base):
    def close(self):
        if not self.is_closed():
            os.dup(0)
        super().close()


@caught_by("shutdown.shutdown_asyncgens_closes")
class LeavesGeneratorsOpen(Base):
    async def shutdown_asyncgens(self):
        pass


@caught_by("shutdown.shutdown_default_executor_joins")
class LeavesThreads(Base):
    async def shutdown_default_executor(self, timeout=None):
        pass


# -- tcp ------------------------------------------------------------------------------------------


def transport_loop(transport, datagrams=StockDatagrams):
    """A loop whose transports are of that class."""

    class Loop(Base):
        def _make_socket_transport(self, sock, protocol, *args, **kwargs):
            return transport(self, sock, protocol, *args, **kwargs)

        def _make_datagram_transport(self, sock, protocol, *args, **kwargs):
            return datagrams(self, sock, protocol, *args, **kwargs)

    return Loop


class _Deferred(StockTransport):
    def write(self, data):
        self._loop.call_soon(super().write, data)


@caught_by("tcp.write_is_eager")
class WritesLater(transport_loop(_Deferred)):
    pass


class _RaisesWhenClosed(StockTransport):
    def write(self, data):
        if self._conn_lost:
            raise RuntimeError("the handler is closed")
        super().write(data)


@caught_by("tcp.write_after_close_silent", "tcp.methods_after_connection_lost")
class RaisesAfterClose(transport_loop(_RaisesWhenClosed)):
    pass


class _OddLimits(StockTransport):
    def _set_write_buffer_limits(self, high=None, low=None):
        super()._set_write_buffer_limits(high, 16 if high is None and low is None else low)


@caught_by("tcp.default_watermarks")
class OddWatermarks(transport_loop(_OddLimits)):
    pass


class _PausesLater(StockTransport):
    def _maybe_pause_protocol(self):
        self._loop.call_soon(super()._maybe_pause_protocol)


@caught_by("tcp.pause_writing_synchronous")
class PausesLater(transport_loop(_PausesLater)):
    pass


class _SkipsEof(StockTransport):
    def _read_ready__on_eof(self):
        self.close()


@caught_by("tcp.eof_none_closes", "tcp.half_close_eof_true_keeps_writing")
class LosesTheEndOfFile(transport_loop(_SkipsEof)):
    pass


class _LosesTwice(StockTransport):
    def _call_connection_lost(self, exc):
        protocol = self._protocol
        super()._call_connection_lost(exc)
        protocol.connection_lost(exc)


@caught_by("tcp.connection_lost_once")
class LosesTwice(transport_loop(_LosesTwice)):
    pass


class _ClosesAtOnce(StockTransport):
    def close(self):
        self.abort()


@caught_by("tcp.close_flushes")
class CloseDropsTheRest(transport_loop(_ClosesAtOnce)):
    pass


class _CallsInsideClose(StockTransport):
    def close(self):
        lost = self._protocol.connection_lost
        if not self._closing:
            self._protocol.connection_lost = lambda exc: None
            super().close()
            lost(None)


@caught_by("tcp.close_is_async")
class CallsInsideClose(transport_loop(_CallsInsideClose)):
    pass


class _ByteArrays(StockTransport):
    def _read_ready__data_received(self):
        protocol = self._protocol
        received = protocol.data_received
        protocol.data_received = lambda data: received(bytearray(data))
        try:
            super()._read_ready__data_received()
        finally:
            protocol.data_received = received


@caught_by("tcp.data_received_gets_bytes")
class DeliversByteArrays(transport_loop(_ByteArrays)):
    pass


class _GoesOn(StockTransport):
    def _fatal_error(self, exc, message="Fatal error on transport"):
        if isinstance(exc, OSError):
            super()._fatal_error(exc, message)
        else:
            self._loop.call_exception_handler({"message": message, "exception": exc})


@caught_by("tcp.data_received_raises_closes", "tcp.eof_received_raises_closes")
class GoesOnAfterAFailure(transport_loop(_GoesOn)):
    pass


class _ResetIsTheEnd(StockTransport):
    def _force_close(self, exc):
        super()._force_close(None if isinstance(exc, ConnectionError) else exc)


@caught_by("tcp.peer_rst_ConnectionResetError")
class HidesAReset(transport_loop(_ResetIsTheEnd)):
    pass


class _PausesNever(StockTransport):
    def pause_reading(self):
        self._loop.call_later(0.05, super().pause_reading)


@caught_by("tcp.pause_reading_immediate", "tcp.paused_reader_does_not_see_the_end")
class GoesOnReading(transport_loop(_PausesNever)):
    pass


class _NeverHalf(StockTransport):
    def _read_ready__on_eof(self):
        self._protocol.eof_received()
        self.close()


@caught_by("tcp.half_close_eof_true_keeps_writing")
class ClosesAtEveryEnd(transport_loop(_NeverHalf)):
    pass


class _KeepsOpen(StockTransport):
    def write_eof(self):
        pass


@caught_by("tcp.write_eof_half_close", "tcp.write_after_write_eof")
class NeverEnds(transport_loop(_KeepsOpen)):
    pass


class _ForgetsNames(StockTransport):
    def _call_connection_lost(self, exc):
        super()._call_connection_lost(exc)
        self._extra.clear()


@caught_by("tcp.extra_info_after_close")
class ForgetsTheAddresses(transport_loop(_ForgetsNames)):
    pass


class _Slow(StockTransport):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, False)


@caught_by("tcp.nodelay_set")
class Nagle(transport_loop(_Slow)):
    pass


class _Shuffles(StockTransport):
    def writelines(self, list_of_data):
        for data in sorted(list_of_data, key=len, reverse=True):
            self.write(data)


@caught_by("tcp.writelines_generator_and_empty")
class ShufflesThePieces(transport_loop(_Shuffles)):
    pass


@caught_by("tcp.connect_refused_type")
class OtherWordsForRefused(Base):
    async def sock_connect(self, sock, address):
        try:
            await super().sock_connect(sock, address)
        except OSError as error:
            raise ConnectionRefusedError(error.errno, "Connection refused") from None


# -- server ---------------------------------------------------------------------------------------


def server_loop(wrap):
    """A loop that changes the servers it makes."""

    class Loop(Base):
        async def create_server(self, *args, **kwargs):
            server = await super().create_server(*args, **kwargs)
            server.__class__ = wrap
            return server

    return Loop


class _Lists(asyncio.base_events.Server):
    @property
    def sockets(self):
        return list(super().sockets)


@caught_by("server.sockets_after_close_empty_tuple")
class ListsOfSockets(server_loop(_Lists)):
    pass


class _ClosesAll(asyncio.base_events.Server):
    def close(self):
        for fd, transport in list(self._loop._transports.items()):
            transport.close()
        super().close()


@caught_by("server.close_leaves_connections_alone")
class CloseTakesTheClients(server_loop(_ClosesAll)):
    pass


class _Deaf(asyncio.base_events.Server):
    def close(self):
        self._serving_forever_fut = None
        super().close()


@caught_by("server.close_ends_serve_forever")
class ServesForEver(server_loop(_Deaf)):
    pass


@caught_by("server.factory_error_keeps_serving")
class OneBadClientEndsTheServer(Base):
    async def create_server(self, factory, *args, **kwargs):
        def strict():
            try:
                return factory()
            except Exception:
                self.call_soon(server.close)
                raise

        server = await super().create_server(strict, *args, **kwargs)
        return server


@caught_by("server.reuse_address_default_posix", "server.reuse_rebind_time_wait")
class DoesNotReuseAddresses(Base):
    async def create_server(self, *args, reuse_address=None, **kwargs):
        return await super().create_server(*args, reuse_address=False, **kwargs)


@caught_by("server.rst_before_accept_keeps_serving", "server.server_survives_rst_storm")
class DiesOfAReset(Base):
    def _make_socket_transport(self, sock, *args, **kwargs):
        try:
            sock.getpeername()
        except OSError:
            self._stop_serving(self.listening)
        return super()._make_socket_transport(sock, *args, **kwargs)

    def _start_serving(self, factory, sock, *args, **kwargs):
        self.listening = sock
        return super()._start_serving(factory, sock, *args, **kwargs)


# -- udp ------------------------------------------------------------------------------------------


class _NothingIsNothing(StockDatagrams):
    def _read_ready(self):
        protocol = self._protocol
        received = protocol.datagram_received

        def some(data, addr):
            if data:
                received(data, addr)

        protocol.datagram_received = some
        try:
            super()._read_ready()
        finally:
            protocol.datagram_received = received


@caught_by("udp.zero_length_receive")
class DropsEmptyDatagrams(transport_loop(StockTransport, _NothingIsNothing)):
    pass


class _ClosesOnError(StockDatagrams):
    def _read_ready(self):
        protocol = self._protocol
        protocol.error_received = lambda exc: self.abort()
        super()._read_ready()


@caught_by("udp.connected_refused_error_received")
class ClosesOnAnError(transport_loop(StockTransport, _ClosesOnError)):
    pass


class _TakesText(StockDatagrams):
    def sendto(self, data, addr=None):
        super().sendto(data.encode() if isinstance(data, str) else data or b"", addr)


@caught_by("udp.sendto_type_error")
class SendsText(transport_loop(StockTransport, _TakesText)):
    pass


# -- sock, fd -------------------------------------------------------------------------------------


@caught_by("sock.recv_cancel_no_data_loss")
class LosesDataWhenCancelled(Base):
    async def sock_recv(self, sock, nbytes):
        try:
            return await super().sock_recv(sock, nbytes)
        except asyncio.CancelledError:
            try:
                sock.recv(nbytes)  # the read that was under way completes for nobody
            except BlockingIOError:
                pass
            raise


@caught_by("sock.accept_nonblocking_conn")
class AcceptsBlockingSockets(Base):
    async def sock_accept(self, sock):
        conn, address = await super().sock_accept(sock)
        conn.setblocking(True)
        return conn, address


@caught_by("sock.ssl_socket_rejected", "sock.debug_blocking_rejected")
class TakesAnySocket(Base):
    async def sock_recv(self, sock, nbytes):
        debug, self._debug = self._debug, False
        try:
            return await super().sock_recv(sock, nbytes)
        finally:
            self._debug = debug


@caught_by("fd.add_reader_replaces_callback", "fd.remove_writer_return")
class TellsNothing(Base):
    def remove_reader(self, fd):
        super().remove_reader(fd)

    def remove_writer(self, fd):
        super().remove_writer(fd)


@caught_by("fd.reader_and_writer_same_fd")
class OneWatcherAtATime(Base):
    def add_writer(self, fd, callback, *args):
        self.remove_reader(fd)
        super().add_writer(fd, callback, *args)


# -- signal, process, pipe, unix ------------------------------------------------------------------


@caught_by("signal.add_remove_handler")
class LeavesTheSignalHandler(Base):
    def remove_signal_handler(self, sig):
        old = signal.getsignal(sig)
        removed = super().remove_signal_handler(sig)
        signal.signal(sig, old)
        return removed


@caught_by("signal.uncatchable_RuntimeError")
class OtherWordsForSignals(Base):
    def add_signal_handler(self, sig, callback, *args):
        try:
            super().add_signal_handler(sig, callback, *args)
        except RuntimeError as error:
            raise RuntimeError("no") from error


@caught_by("process.signal_returncode_negative")
class PositiveReturnCodes(Base):
    def _child_watcher_callback(self, pid, returncode, transp):
        super()._child_watcher_callback(pid, abs(returncode), transp)


@caught_by("process.text_kwargs_ValueError")
class TakesText(Base):
    async def subprocess_exec(self, factory, program, *args, text=None, **kwargs):
        return await super().subprocess_exec(factory, program, *args, **kwargs)


@caught_by("process.enoent_type_and_filename")
class ForgetsTheFile(Base):
    async def subprocess_exec(self, *args, **kwargs):
        try:
            return await super().subprocess_exec(*args, **kwargs)
        except FileNotFoundError as error:
            raise OSError(error.errno, error.strerror) from None


@caught_by("process.stdio_are_pipes")
class Socketpairs(Base):
    async def subprocess_exec(self, factory, *args, stdout=subprocess.PIPE, **kwargs):
        ours, theirs = socket.socketpair()
        self.kept = ours
        result = await super().subprocess_exec(factory, *args, stdout=theirs, **kwargs)
        theirs.close()
        return result


@caught_by("pipe.regular_file_ValueError")
class TakesFilesForPipes(Base):
    async def connect_read_pipe(self, factory, pipe):
        try:
            return await super().connect_read_pipe(factory, pipe)
        except ValueError:
            return None, factory()


@caught_by("unix.in_use_message", "unix.stale_socket_removed")
class TakesThePath(Base):
    async def create_unix_server(self, factory, path=None, **kwargs):
        if path is not None and os.path.exists(path):
            os.unlink(path)
        return await super().create_unix_server(factory, path, **kwargs)


@caught_by("signal.keyboardinterrupt_during_sock_recv")
class SwallowsCtrlC(Base):
    def run_until_complete(self, future):
        try:
            return super().run_until_complete(future)
        except KeyboardInterrupt:
            return None


@caught_by("process.recycled_pid_is_safe")
class SignalsTheDead(Base):
    async def subprocess_exec(self, *args, **kwargs):
        transport, protocol = await super().subprocess_exec(*args, **kwargs)
        pid = transport.get_pid()
        transport.terminate = lambda: os.kill(pid, signal.SIGTERM)
        return transport, protocol


@caught_by("process.executable_is_another_than_the_name")
class IgnoresTheExecutable(Base):
    async def subprocess_exec(self, *args, executable=None, **kwargs):
        return await super().subprocess_exec(*args, **kwargs)


@caught_by("process.empty_environment")
class KeepsTheEnvironment(Base):
    async def subprocess_exec(self, *args, env=None, **kwargs):
        return await super().subprocess_exec(*args, env=env or None, **kwargs)


@caught_by("unix.path_permissions")
class OpensThePathToAll(Base):
    async def create_unix_server(self, protocol_factory, path=None, **kwargs):
        server = await super().create_unix_server(protocol_factory, path, **kwargs)
        os.chmod(path, 0o777)
        return server


@caught_by("server.reuse_address_is_no_hijacking", "server.two_listeners_eaddrinuse")
class SharesAddresses(Base):
    async def create_server(self, *args, **kwargs):
        return await super().create_server(*args, **{**kwargs, "reuse_port": True})


@caught_by("fd.add_reader_terminal")
class SocketsOnly(Base):
    def add_reader(self, fd, callback, *args):
        if os.isatty(fd if isinstance(fd, int) else fd.fileno()):
            raise OSError("no socket")
        super().add_reader(fd, callback, *args)


@caught_by("core.slow_selector_log")
class LogsItsWaits(Base):
    def _run_once(self):
        began = self.time()
        super()._run_once()
        if self.get_debug() and self.time() - began > self.slow_callback_duration:
            asyncio.log.logger.warning("a turn took %.3f seconds", self.time() - began)


# -- sendfile, dns, tls ---------------------------------------------------------------------------


@caught_by("sendfile.native_offset_count_pos")
class IgnoresTheOffset(Base):
    async def sendfile(self, transport, file, offset=0, count=None, *, fallback=True):
        return await super().sendfile(transport, file, 0, count, fallback=fallback)


@caught_by("dns.gaierror")
class OtherResolverErrors(Base):
    async def getaddrinfo(self, host, port, **kwargs):
        try:
            return await super().getaddrinfo(host, port, **kwargs)
        except socket.gaierror as error:
            raise OSError(*error.args) from None


_getaddrinfo = socket.getaddrinfo


@caught_by("dns.uses_socket_module_patchable")
class ResolverOfItsOwn(Base):
    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        return await self.run_in_executor(
            None, _getaddrinfo, host, port, family, type, proto, flags
        )


@caught_by("tls.isinstance_Transport_and_extra")
class HidesTheCipher(Base):
    def _make_ssl_transport(self, *args, **kwargs):
        transport = super()._make_ssl_transport(*args, **kwargs)
        plain = transport.get_extra_info
        transport.get_extra_info = lambda name, default=None: (
            None if name == "cipher" else plain(name, default)
        )
        return transport


@caught_by("tls.handshake_timeout_error")
class OtherHandshakeError(Base):
    async def create_connection(self, *args, **kwargs):
        try:
            return await super().create_connection(*args, **kwargs)
        except ConnectionAbortedError:
            raise TimeoutError("too slow") from None


@caught_by("dns.executor_saturation")
class LooksUpInThreadsOfItsOwn(Base):
    def run_in_executor(self, executor, func, *args):
        if func is socket.getaddrinfo:
            executor = concurrent.futures.ThreadPoolExecutor(1)
        return super().run_in_executor(executor, func, *args)


@caught_by("tls.peer_not_reading_close", "tls.shutdown_timeout_TimeoutError")
class WaitsForEveryFarewell(Base):
    def _make_ssl_transport(self, *args, ssl_shutdown_timeout=None, **kwargs):
        return super()._make_ssl_transport(*args, ssl_shutdown_timeout=600.0, **kwargs)


@caught_by("tls.refcycle_free_failure")
class HoldsFailedHandshakes(Base):
    held: object = None

    def _make_ssl_transport(self, rawsock, protocol, sslcontext, *args, **kwargs):
        self.held = self.held, sslcontext
        return super()._make_ssl_transport(rawsock, protocol, sslcontext, *args, **kwargs)


# -- locks ----------------------------------------------------------------------------------------


@caught_by("locks.lock_is_granted_when_released")
class NeverCallsReaders(Base):
    def add_reader(self, fd, callback, *args):
        pass


@caught_by("locks.lock_timeouts")
class TimersAnHourLate(Base):
    def call_later(self, delay, callback, *args, context=None):
        return super().call_later(delay + 3600, callback, *args, context=context)
