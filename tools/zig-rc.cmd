@rem SPDX-License-Identifier: MIT
@rem zig-rc for a Windows host: zig comes from the Python on PATH (package `ziglang`).
@python -m ziglang rc %*
