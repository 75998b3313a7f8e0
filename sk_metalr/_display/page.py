"""A page of HTML in one file, from headed sections of text, figures and tables.

Whatever is given as text is escaped here, and nowhere else.
"""

import base64
import hashlib
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from numbers import Integral
from typing import Any

import numpy as np

__all__ = ["figures", "items", "page", "pairs", "paragraph", "preformatted", "table", "tiles"]


def page(title: str, sections: dict[str, str]) -> str:
    """Return a page that loads nothing from elsewhere.

    Parameters
    ----------
    title : str
        Its title and first heading.
    sections : dict of str to str
        Headings, and what the other functions here return.
    """
    folder = files(__package__)
    style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The browser is told to load nothing, and to run no script but this one.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    body = "\n".join(
        f"<section>\n<h2>{escape(name)}</h2>\n{content}\n</section>"
        for name, content in sections.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<main>\n<h1>{escape(title)}</h1>\n{body}\n</main>\n<script>{script}</script>\n"
        "</body>\n</html>\n"
    )


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def preformatted(text: str) -> str:
    """Return text whose line breaks are kept."""
    return f"<pre>{escape(text)}</pre>"


def items(texts: Sequence[str]) -> str:
    """Return a list."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def tiles(values: dict[str, tuple[str, str]]) -> str:
    """Return values side by side, each with its name and a note."""
    boxes = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="value">{escape(value)}</dd>'
        f'<dd class="soft">{escape(note)}</dd></div>'
        for name, (value, note) in values.items()
    )
    return f'<dl class="tiles">{boxes}</dl>'


def pairs(values: dict[str, Any]) -> str:
    """Return a table of names and values."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{_text(value)}</td></tr>\n'
        for name, value in values.items()
    )
    return f'<table class="pairs">\n{rows}</table>'


def figures(drawn: dict[str, Any]) -> str:
    """Return matplotlib's figures by their captions, side by side.

    Each is an image of its own, so that its ids are its own too, and nothing in it is HTML.
    """
    images = []
    for caption, figure in drawn.items():
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        image = base64.b64encode(file.getvalue()).decode()
        images.append(
            f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{image}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>\n"
        )
    return f'<div class="figures">\n{"".join(images)}</div>'


def table(columns: dict[str, Any], caption: str, *, marked: int, not_printed: str) -> str:
    """Return a table that sorts by the column whose head is clicked on.

    Parameters
    ----------
    columns : dict of str to array-like of the same length
        Cells; numbers that are NaN are left out, and sorted last.
    caption : str
        What it shows.
    marked : int
        The row that is marked.
    not_printed : str
        Columns whose names start like this are not printed on paper.
    """
    classes = [
        " ".join(
            ["number"] * (np.asarray(column).dtype.kind in "iuf")
            + ["not-printed"] * name.startswith(not_printed)
        )
        for name, column in columns.items()
    ]
    heads = "".join(
        f'<th scope="col" class="{kind}">{escape(name).replace("_", "_<wbr>")}</th>'
        for name, kind in zip(columns, classes, strict=True)
    )
    rows = [
        "".join(_cell(value, kind) for value, kind in zip(row, classes, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    marks = [' class="marked"' if index == marked else "" for index in range(len(rows))]
    body = "\n".join(f"<tr{mark}>{row}</tr>" for mark, row in zip(marks, rows, strict=True))
    return (
        f'<p class="soft" id="about">{escape(caption)}</p>\n<div class="scroll" tabindex="0" '
        'role="region" aria-labelledby="about"><table class="sortable">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(value: Any, kind: str) -> str:
    """Return a cell; a number with all its digits to sort by, none where it is NaN."""
    exact = ""
    if _is_number(value):
        digits = "" if np.isnan(value) else repr(float(value)).replace("inf", "Infinity")
        exact = f' data-value="{digits}"'
    return f'<td class="{kind}"{exact}>{_text(value)}</td>'


def _text(value: Any) -> str:
    """Return a value as it is read."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not _is_number(value):
        return escape(str(value))
    if np.isnan(value):
        return "–"
    return f"{value:,}" if isinstance(value, Integral) else f"{value:.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
