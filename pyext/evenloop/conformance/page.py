# SPDX-License-Identifier: MIT
"""The frame of the pages: one file with nothing to fetch, light or dark as the reader has it."""

from __future__ import annotations

import html

from . import verdict
from .observation import short
from .report import Fact

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c2024; --paper: #fff; --line: #d8dce0; --soft: #f4f6f8;
  --ok: #1a7f37; --fail: #c62828; --unsupported: #8a5c00; --hang: #7b3fb5; --na: #626a73;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8ea; --paper: #14171a; --line: #33393f; --soft: #1d2125;
    --ok: #56d364; --fail: #ff7b72; --unsupported: #e3b341; --hang: #d2a8ff; --na: #949ca5;
  }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
}
h1 { font-size: 1.4rem }
h2 { font-size: 1.1rem; margin-top: 2rem }
.scroll { overflow: auto; max-height: 90vh; margin: 1rem 0 }
.scroll:focus-visible { outline: 2px solid var(--hang) }
table { border-collapse: collapse }
th, td {
  border: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top;
}
thead th { background: var(--soft); position: sticky; top: 0 }
tbody th { font-weight: normal }
.number { text-align: right; white-space: nowrap }
code { font-size: .92em }
.ok td:first-child, td.ok { color: var(--ok) }
.fail td:first-child, td.fail { color: var(--fail); font-weight: 600 }
.crash td:first-child, td.crash { color: var(--fail); font-weight: 600 }
.hang td:first-child, td.hang { color: var(--hang) }
.unsupported td:first-child, td.unsupported { color: var(--unsupported) }
.na td:first-child, td.na { color: var(--na) }
details { margin: .2rem 0 }
summary { cursor: pointer }
pre { white-space: pre-wrap; margin: .3rem 0 }
.bar {
  display: inline-block; width: 5rem; height: .5rem; background: var(--fail); margin-right: .5rem;
}
.bar i { display: block; height: 100%; background: var(--ok) }
"""


def table(caption: str, heads: list[str], rows: str) -> str:
    """A table that scrolls by itself, with its heads in sight; heads and rows are HTML already."""
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    name = html.escape(caption)
    return (
        f'<div class="scroll" role="region" aria-label="{name}" tabindex="0"><table>'
        f"<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def css_class(name: str) -> str:
    """The class of a verdict."""
    return name.lower().replace("/", "")


def details(fact: Fact) -> str:
    """Expected and observed, folded away."""
    parts = []
    if fact.verdict == verdict.FAIL:
        parts = [
            ("expected", short(fact.expected, 4000)),
            ("observed", short(fact.observation, 4000)),
        ]
    elif fact.verdict == verdict.OK:
        parts = [("observed", short(fact.observation, 4000))]
    elif fact.detail:
        parts = [("detail", fact.detail)]
    if fact.notes:
        parts.append(("measured", short(fact.notes, 2000)))
    if not parts:
        return ""
    inner = "".join(f"<b>{name}</b><pre>{html.escape(text)}</pre>" for name, text in parts)
    return f"<details><summary>more</summary>{inner}</details>"


def document(title: str, body: str) -> str:
    """A whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n"
    )
