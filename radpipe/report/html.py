"""The summary -> one HTML page that needs nothing else: no script, no font, no file, no network."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from radpipe.report import words

VERDICTS = {
    "a_better": "{a} better",
    "b_better": "{b} better",
    "equivalent": "equivalent",
    "not_resolved": "not resolved",
    "better": "better",
    "worse": "worse",
}


def render(summary: dict[str, Any]) -> str:
    """summary : of :func:`radpipe.report.summary.summarise`. The same summary gives the same bytes."""
    from radpipe.report import figures, map_figures  # matplotlib: a second to import, wanted here only

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(
        number=words.number,
        p=words.p_value,
        significant=words.significant,
        plural=words.plural,
        label=words.label,
        sentence=words.sentence,
    )
    environment.globals.update(
        interval=words.interval,
        verdict_words=verdict_words,
        strip=_strip,
        percent_of=_percent,
        breakable=_breakable,
        style=page_style(),
    )
    template = files("radpipe.report").joinpath("templates/report.html.jinja").read_text(encoding="utf-8")
    drawn = {**figures.draw_all(summary), "maps": map_figures.draw_maps(summary["maps"])}
    return environment.from_string(template).render(s=summary, figures=drawn)


def page_style() -> Markup:
    """The look that the pages of a run and of a comparison share."""
    return Markup("\n" + files("radpipe.report").joinpath("templates/page.css").read_text(encoding="utf-8"))  # our own file


def verdict_words(row: dict[str, Any]) -> str:
    """What may be said of a row of the comparison table, with the models' names."""
    a, b = words.label(str(row.get("model_a", ""))), words.label(str(row.get("model_b", "")))
    return VERDICTS[row["verdict"]].format(a=a, b=b)


def _percent(value: float, digits: int = 2) -> str:
    """A share as a CSS percentage."""
    return f"{100 * value:.{digits}f}%"


def _strip(low: float | None, high: float | None, value: float | None) -> dict[str, str] | None:
    """Where an interval lies on a 0-to-1 strip, as CSS lengths; None where there is nothing to draw."""
    if value is None:
        return None
    start = max(0.0, low) if low is not None else value
    stop = min(1.0, high) if high is not None else value
    return {"left": _percent(start), "width": _percent(max(0.0, stop - start)), "value": _percent(min(max(value, 0.0), 1.0))}


def _breakable(name: str) -> Markup:
    """A long name with places where a line may break: after underscores, dots, slashes, and before capitals."""
    escaped = re.sub("(?<=[a-z])(?=[A-Z])", "<wbr>", str(escape(name)))
    for mark in ("_", ".", "/"):
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    return Markup(escaped)  # escaped above; only <wbr> was added
