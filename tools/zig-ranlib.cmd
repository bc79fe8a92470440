@rem SPDX-License-Identifier: MIT
@rem zig-ranlib for a Windows host: zig comes from the Python on PATH (package `ziglang`).
@python -m ziglang ranlib %*
