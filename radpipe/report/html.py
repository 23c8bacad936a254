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
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        loader=jinja2.FunctionLoader(_template),
    )  # fmt: skip
    environment.filters.update(
        number=words.number,
        p=words.p_value,
        significant=words.significant,
        plural=words.plural,
        label=words.label,
        sentence=words.sentence,
        size=words.size,
        share=_share,
        test=lambda name: words.TEST_NAMES.get(name, name.replace("_", " ")),
        metric=lambda name: words.METRIC_NAMES.get(name, name),
    )
    environment.globals.update(
        interval=words.interval,
        ends=_ends,
        shares=_shares,
        verdict_words=verdict_words,
        strip=_strip,
        percent_of=_percent,
        breakable=_breakable,
        style=page_style(),
    )
    drawn = {**figures.draw_all(summary), "maps": map_figures.draw_maps(summary["maps"])}
    return environment.get_template("report.html.jinja").render(s=summary, figures=drawn)


def page_style() -> Markup:
    """The look that the pages of a run and of a comparison share."""
    return Markup("\n" + files("radpipe.report").joinpath("templates/page.css").read_text(encoding="utf-8"))  # our own file


def verdict_words(row: dict[str, Any]) -> str:
    """What may be said of a row of the comparison table, with the models' names."""
    a, b = words.label(str(row.get("model_a", ""))), words.label(str(row.get("model_b", "")))
    return VERDICTS[row["verdict"]].format(a=a, b=b)


def _template(name: str) -> str:
    return files("radpipe.report").joinpath("templates", name).read_text(encoding="utf-8")


def _percent(value: float, digits: int = 2) -> str:
    """A share as a CSS percentage."""
    return f"{100 * value:.{digits}f}%"


def _share(value: float | None) -> str:
    """'62 %', 'n/a'."""
    return "n/a" if value is None else f"{100 * value:.0f} %"


def _shares(low: float | None, high: float | None) -> str:
    """'46 to 76 %', 'no interval'."""
    return "no interval" if low is None or high is None else f"{100 * low:.0f} to {100 * high:.0f} %"


def _ends(row: dict[str, Any], metric: str) -> str:
    """The interval of a row, as its metric is written; differences with their sign."""
    low, high = row["ci_low"], row["ci_high"]
    if low is None and high is None:
        return "no interval"
    signed = "effect" in row
    return f"{words.size(low, metric, sign=signed)} to {words.size(high, metric, sign=signed)}"


def _strip(
    low: float | None, high: float | None, value: float | None, scale: tuple[float, float] = (0.0, 1.0)
) -> dict[str, str] | None:
    """Where an interval lies on the strip of a scale, as CSS lengths; None where there is nothing to draw."""
    if value is None:
        return None
    first, last = scale

    def at(place: float) -> float:
        return min(max((place - first) / (last - first), 0.0), 1.0)

    start = at(low if low is not None else value)
    stop = at(high if high is not None else value)
    return {"left": _percent(start), "width": _percent(max(0.0, stop - start)), "value": _percent(at(value))}


def _breakable(name: str) -> Markup:
    """A long name with places where a line may break: after underscores, dots, slashes, and before capitals."""
    escaped = re.sub("(?<=[a-z])(?=[A-Z])", "<wbr>", str(escape(name)))
    for mark in ("_", ".", "/"):
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    return Markup(escaped)  # escaped above; only <wbr> was added
