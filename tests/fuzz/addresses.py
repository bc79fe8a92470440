#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""addresses.py [--examples N]: addresses and descriptors that are none, or odd, given to what reads
them in C, beside the stock loop.

What Python code gives to sendto() and add_reader() is read by our own C (pyext/src/address.c): each
example goes to an endpoint of evenloop and to one of the stock selector loop, and the two have to
say the same. tests/python/test_fuzzed_addresses.py runs some hundreds.

Sockets are bound to loopback, from where the system sends nothing to any other host. Hosts hold a
character that no name has, so that no name server is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
import sys
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

FAMILIES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

_ipv4 = st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n)))
_ipv6 = st.integers(0, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n)))
_not_names = st.text("0123456789abcdef:.%\0é ", max_size=45).map(lambda text: f":{text}")
HOSTS = st.one_of(
    st.sampled_from(["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "fe80::1%1", "1.2"]),
    _ipv4,
    _ipv6,
    _not_names,
    _ipv6.map(lambda text: f"{text}%1"),
    _ipv4.map(lambda text: f"::ffff:{text}"),
)
NUMBERS = st.one_of(
    st.integers(-2, 70000),
    st.sampled_from([2**16, 2**20, 2**20 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, -(2**31)]),
    st.booleans(),
)
ODD = st.one_of(
    st.none(), st.floats(allow_nan=False), st.binary(max_size=8), st.tuples(), st.just(object)
)
PARTS = st.one_of(HOSTS, NUMBERS, ODD)
ADDRESSES = st.one_of(
    st.tuples(HOSTS, NUMBERS),
    st.tuples(HOSTS, NUMBERS, NUMBERS),
    st.tuples(HOSTS, NUMBERS, NUMBERS, NUMBERS),
    st.lists(PARTS, max_size=5).map(tuple),
    st.lists(PARTS, max_size=3),
    PARTS,
)
DESCRIPTORS = st.one_of(
    st.integers(),
    st.integers(10**6, 2**64),
    st.integers(-(2**64), -1),
    st.floats(),
    st.text(max_size=3),
    ODD,
)


class Endpoint(asyncio.DatagramProtocol):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def error_received(self, exc: Exception) -> None:
        self.told.append(f"{type(exc).__name__}: {exc}")


async def send(family: int, address: Any) -> list[str]:
    """What a datagram endpoint says to this address, in all the ways that it has."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint()
    loop.set_exception_handler(
        lambda _, context: endpoint.told.append(
            f"{context['message']}: {type(context['exception']).__name__}: {context['exception']}"
        )
    )
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((FAMILIES[socket.AddressFamily(family)], 0))
    sock.setblocking(False)
    transport, _ = await loop.create_datagram_endpoint(lambda: endpoint, sock=sock)
    try:
        transport.sendto(b"x", address)
        endpoint.told.append(f"closing: {transport.is_closing()}")
    except Exception as exc:
        endpoint.told.append(f"raises {type(exc).__name__}: {exc}")
    transport.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    plain = socket.socket(family, socket.SOCK_DGRAM)
    with plain:
        plain.bind((FAMILIES[socket.AddressFamily(family)], 0))
        plain.setblocking(False)
        try:
            endpoint.told.append(str(await loop.sock_sendto(plain, b"x", address)))
        except Exception as exc:
            endpoint.told.append(f"sock_sendto raises {type(exc).__name__}: {exc}")
    return endpoint.told


async def watch(descriptor: Any) -> list[str]:
    """What the four methods that take a descriptor say to this one."""
    loop = asyncio.get_running_loop()
    told = []
    for method, args in (
        (loop.remove_reader, ()),
        (loop.add_reader, (print,)),
        (loop.add_writer, (print,)),
        (loop.remove_writer, ()),
    ):
        try:
            told.append(repr(method(descriptor, *args)))
        except Exception as exc:
            told.append(f"{type(exc).__name__}: {exc}")
    return told


def asked(factory: Callable[[], Any], coroutine: Any) -> list[str]:
    """What a new loop says."""
    with asyncio.Runner(loop_factory=factory) as runner:
        answer: list[str] = runner.run(coroutine)
    return answer


def both(ask: Callable[[], Any]) -> None:
    """Asks either loop; they have to agree."""
    import evenloop

    ours = asked(evenloop.new_event_loop, ask())
    assert ours == asked(asyncio.SelectorEventLoop, ask())


def may_be_open(descriptor: Any) -> bool:
    """Whether this may be a descriptor of this process."""
    return isinstance(descriptor, int) and 0 <= descriptor < 10**5


def examples_of(count: int) -> dict[str, list[Any]]:
    """So many examples of each kind, to be asked elsewhere."""
    found: dict[str, list[Any]] = {"addresses": [], "descriptors": []}
    bounds = settings(
        max_examples=count, deadline=None, database=None, derandomize=True, phases=[Phase.generate]
    )

    @bounds
    @given(st.sampled_from(list(FAMILIES)), ADDRESSES)
    def addresses(family: socket.AddressFamily, address: Any) -> None:
        found["addresses"].append((family.name, address))

    @bounds
    @given(DESCRIPTORS)
    def descriptors(descriptor: Any) -> None:
        if not may_be_open(descriptor):
            found["descriptors"].append(descriptor)

    addresses()
    descriptors()
    return found


def answer(kind: str, example: Any, factory: Callable[[], Any]) -> list[str]:
    """What a loop says to one of these examples."""
    if kind == "descriptors":
        return asked(factory, watch(example))
    return asked(factory, send(getattr(socket, example[0]), example[1]))


def tests(examples: int) -> dict[str, Callable[[], None]]:
    """What there is to run, by name."""
    bounds = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )

    @bounds
    @given(st.sampled_from(list(FAMILIES)), ADDRESSES)
    def addresses(family: socket.AddressFamily, address: Any) -> None:
        both(lambda: send(family, address))

    @bounds
    @given(DESCRIPTORS)
    def descriptors(descriptor: Any) -> None:
        if not may_be_open(descriptor):
            both(lambda: watch(descriptor))

    return {"addresses": addresses, "descriptors": descriptors}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--examples", type=int, default=20_000)
    given_arguments = parser.parse_args()
    for name, test in tests(given_arguments.examples).items():
        print(f"{name}: {given_arguments.examples} examples", flush=True)
        test()
    print("the two loops agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
