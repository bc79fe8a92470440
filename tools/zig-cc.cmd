@rem SPDX-License-Identifier: MIT
@rem zig-cc for a Windows host: zig comes from the Python on PATH (package `ziglang`).
@python -m ziglang cc %*
