"""What a cohort can answer -> one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from radpipe.report import html, words


def render(plan: dict[str, Any], said: list[str], of_controls: str) -> str:
    """plan : the fields of :class:`radpipe.stages.plan.Plan`. said : what can be resolved, in sentences. of_controls : their time."""
    from radpipe.report import plan_figures as figures  # matplotlib: a second to import, wanted here only

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(number=words.number, plural=words.plural)
    environment.globals.update(style=html.page_style())
    template = files("radpipe.report").joinpath("templates/plan.html.jinja").read_text(encoding="utf-8")
    drawn = {
        "chances": figures.chances(plan["chances"], plan["design"]["margin"]) if plan["chances"] else None,
        "demands": figures.demands(plan["demands"], plan["patients"]) if any(d["patients"] for d in plan["demands"]) else None,
    }
    return environment.from_string(template).render(
        plan=plan,
        said=said,
        of_controls=of_controls,
        figures=drawn,
        hours=words.duration(plan["seconds"]),
        disk=words.megabytes(plan["disk_mb"]),
    )
