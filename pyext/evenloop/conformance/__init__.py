# SPDX-License-Identifier: MIT
"""The conformance kit: what an event loop really does, fact by fact, on any system.

    python -m evenloop.conformance run --loop uvloop
    python -m evenloop.conformance run --loop evenloop --format json --output linux.json
    python -m evenloop.conformance diff linux.json windows.json

It needs nothing but Python: evenloop's C core is imported only to test evenloop. The modules:
`check` (what a check is, the register), `checks/` (the checks, a module an area), `trial` and
`protocols` (what a check works with), `observation` (how it reports), `worker`, `keeper` and
`runner` (its process, who watches that, all of them), `report`, `tables`, `compare`, `matrix`,
`explain` (what becomes of it), `cli`. docs/conformance.md explains how to write a check.
"""
