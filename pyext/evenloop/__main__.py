# SPDX-License-Identifier: MIT
"""`python -m evenloop`: run a program that need not know evenloop."""

from ._launch import main

if __name__ == "__main__":
    main()
