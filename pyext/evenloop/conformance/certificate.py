# SPDX-License-Identifier: MIT
"""A certificate for localhost and 127.0.0.1, for the checks of TLS only.

Made once with OpenSSL for a hundred years, so that the kit needs no tool to make one. The key is
as public as this file and protects nothing; the authority's key was thrown away.
"""

from __future__ import annotations

import pathlib
import ssl

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBtjCCAVygAwIBAgIUEqRyaC9WJAZBvKSkSG2JdQPPwN0wCgYIKoZIzj0EAwIw
JjEkMCIGA1UEAwwbRXZlbmxvb3AgY29uZm9ybWFuY2Uga2l0IENBMCAXDTI2MTEy
MjA3MjQ1OFoYDzIxMjYxMDI5MDcyNDU4WjAmMSQwIgYDVQQDDBtFdmVubG9vcCBj
b25mb3JtYW5jZSBraXQgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASqz52Z
ThAyIFEpVaezOHixexUFym6GjLLvbW0ypxmkZeLMdb9TzFMjdBDyByKudyVf68k/
rqu0jW3vSysqRzc/o2YwZDAdBgNVHQ4EFgQUYDnVBYZlr0LeV5wYzIm00CaAyXUw
HwYDVR0jBBgwFoAUYDnVBYZlr0LeV5wYzIm00CaAyXUwEgYDVR0TAQH/BAgwBgEB
/wIBADAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIhAMK0heFpsfD0
SP9+o9kyDTTz0DycSFDp9UWFyzT70sPoAiBkCxADtZmwHkwjdbKkM+V9qiumyhxh
CdPesDSyR9ihGg==
-----END CERTIFICATE-----
"""

CHAIN = """\
-----BEGIN CERTIFICATE-----
MIIB2DCCAX6gAwIBAgIUJe8oigNnjtFDTO3lptquOij+/NYwCgYIKoZIzj0EAwIw
JjEkMCIGA1UEAwwbRXZlbmxvb3AgY29uZm9ybWFuY2Uga2l0IENBMCAXDTI2MTEy
MjA3MjQ1OFoYDzIxMjYxMDI5MDcyNDU4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT9KK8/h2R7fUQ2DeELnLGgpuA9n33o
kzLMeSwR22+1u83u6mIx0oSRVFSQo+07QhVMyuHt5beGU5HDtYIma4BTo4GZMIGW
MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAJBgNVHRMEAjAAMA4GA1UdDwEB
/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwHwYDVR0jBBgw
FoAUYDnVBYZlr0LeV5wYzIm00CaAyXUwHQYDVR0OBBYEFA83Pd6JguHliucNmBu4
uPfB4zoiMAoGCCqGSM49BAMCA0gAMEUCIQCCNTn9GrKiwVGM1ITC8bMcFsp535e8
D0m7bpzF++oekwIgcPgM3qFkVJslKDHhd1KL2/247Usn8SeC48jH8rEW2BI=
-----END CERTIFICATE-----
"""

KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPLECSucwgBHUTGqv
JDvRMhPeIIWcDLka/AJUs/xGU6yhRANCAAT9KK8/h2R7fUQ2DeELnLGgpuA9n33o
kzLMeSwR22+1u83u6mIx0oSRVFSQo+07QhVMyuHt5beGU5HDtYIma4BT
-----END PRIVATE KEY-----
"""


def server_context(folder: pathlib.Path) -> ssl.SSLContext:
    """A server's context; the folder takes the file that the ssl module wants to read."""
    file = folder / "certificate.pem"
    file.write_text(KEY + CHAIN, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def client_context() -> ssl.SSLContext:
    """A client's context that trusts the authority and checks the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=AUTHORITY)
    return context
