@rem SPDX-License-Identifier: MIT
@rem zig-ar for a Windows host: zig comes from the Python on PATH (package `ziglang`).
@python -m ziglang ar %*
