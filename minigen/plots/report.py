"""The demo's report: one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #8886; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
code, pre { font-family: ui-monospace, monospace; font-size: .92em; }
pre { padding: .8rem 1rem; border: 1px solid #8886; border-radius: 4px; overflow-x: auto; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page of parts that the functions below made."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    top = f'<!doctype html>\n<html lang="en"><head>{head}{view}</head>'
    return f"{top}\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"


def heading(text: str) -> str:
    """A section begins."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Plain text: whatever a product is called, it stays text."""
    return f"<p>{escape(text)}</p>"


def commands(lines: Iterable[str]) -> str:
    """Lines to type."""
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def picture(png: bytes, description: str) -> str:
    """A PNG inside the page, with words for those who cannot see it."""
    data = base64.b64encode(png).decode("ascii")
    return f'<p><img alt="{escape(description, quote=True)}" src="data:image/png;base64,{data}"></p>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; floats are shown to four digits, and numbers stand on the right."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, (int, float)):
        return (
            f'<td class="number">{value:.4f}</td>'
            if isinstance(value, float)
            else f'<td class="number">{value}</td>'
        )
    return f"<td>{escape(str(value))}</td>"
