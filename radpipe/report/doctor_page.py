"""What the doctor found -> one HTML page that needs nothing else; readable by who drew the outlines."""

from __future__ import annotations

from collections import Counter, defaultdict
from importlib.resources import files
from typing import Any

import jinja2

from radpipe.report.described import overlay_summary
from radpipe.report.html import _breakable
from radpipe.report.inputs import OverlaySlice

MOST_PICTURES, MOST_FINDINGS = 300, 1500
_TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
_NAMED = 6  # cases in a row of the summary


def render(
    *,
    name: str,
    cases: int,
    findings: list[dict[str, Any]],
    pictures: dict[int, tuple[OverlaySlice, str]],
    advice: list[dict[str, Any]],
    overlaps: list[dict[str, Any]],
    repairs: list[dict[str, Any]],
    meanings: dict[str, str],
    safe: dict[str, str],
    refused: dict[str, str],
) -> str:
    """findings : check, severity, what, to_do, case_id, file, safe_repair; worst first. pictures : by place in that list, with
    what its outlines are. advice : title, unit, setting, reason, rows, file, few, many. meanings : check -> in words. safe,
    refused : repairs, and why. The same input gives the same bytes."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["breakable"] = _breakable
    template = files("radpipe.report").joinpath("templates/doctor.html.jinja").read_text(encoding="utf-8")
    counts = Counter(item["severity"] for item in findings)
    ill = {item["case_id"] for item in findings if item["severity"] != "note"} - {""}
    shown = findings[:MOST_FINDINGS]
    items = _items(shown, pictures, safe)
    d = {
        "name": name,
        "headline": _headline(counts, cases, findings),
        "said": _said(counts),
        "errors": counts["error"], "warnings": counts["warning"], "notes": counts["note"],
        "clean": max(0, cases - len(ill)), "cases": cases, "total": len(findings),
        "checks": _checks(items, findings, meanings),
        "repairable": sum(bool(item["safe_repair"]) for item in findings),
        "groups": [
            {"severity": severity, "title": f"{title} ({counts[severity]})", "findings": [i for i in items if i["severity"] == severity]}
            for severity, title in _TITLES.items()
            if counts[severity]
        ],
        "pictured": any(item["picture"] for item in items),
        "left_out": _left_out(len(findings), sum(place < len(shown) for place in pictures)),
        "advice": advice,
        "overlaps": _overlaps(overlaps),
        "repairs": repairs,
        "safe": sorted(safe.items()), "refused": sorted((_capital(meanings[check]), why) for check, why in refused.items()),
    }  # fmt: skip
    return environment.from_string(template).render(d=d)


def _items(
    findings: list[dict[str, Any]], pictures: dict[int, tuple[OverlaySlice, str]], safe: dict[str, str]
) -> list[dict[str, Any]]:
    from radpipe.report import outline_figures as figures  # matplotlib: a second to import, wanted where there are pictures

    items = []
    anchored: set[tuple[str, str]] = set()
    drawn = 0
    for place, item in enumerate(findings):
        picture = None
        if place in pictures and drawn < MOST_PICTURES:
            drawn += 1
            taken, lines = pictures[place]
            (summary,) = overlay_summary((taken,))
            caption = f"{taken.modality or 'image'}, {taken.caption}; {summary['window']}. {_capital(lines)}."
            picture = {"data": figures.overlay(summary), "caption": caption, "alt": f"Case {taken.case_id}: {caption}"}
        key = (item["check"], item["severity"])
        anchor = "" if key in anchored else f"{item['severity']}-{item['check']}"
        anchored.add(key)
        why = safe.get(item["safe_repair"], "")
        items.append({**item, "picture": picture, "repair": item["safe_repair"], "why_safe": why, "anchor": anchor})
    return items


def _headline(counts: Counter[str], cases: int, findings: list[dict[str, Any]]) -> str:
    if not cases:
        return "The manifest cannot be read"
    bad = len({item["case_id"] for item in findings if item["severity"] == "error"} - {""})
    if counts["error"]:
        return f"{bad} of {cases} cases cannot be used as they are" if bad else "The cohort cannot be used as it is"
    if counts["warning"]:
        return f"All {cases} cases can be used; some deserve a look" if cases > 1 else "The case can be used, and deserves a look"
    return f"All {cases} cases can be used" if cases > 1 else "The case can be used"


def _said(counts: Counter[str]) -> str:
    if counts["error"]:
        return "Below, worst first: what is wrong with which file, by how much, and what to do. Each picture shows the place."
    if counts["warning"]:
        return "Image and outline belong together in every case. Below: what should be looked at, with a picture of the place."
    return "Image and outline belong together in every case, and nothing else was found that needs a look."


def _checks(items: list[dict[str, Any]], findings: list[dict[str, Any]], meanings: dict[str, str]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for item in findings:
        groups[(item["severity"], item["check"])].append(item)
    anchors = {item["anchor"] for item in items}
    rows = []
    for (severity, check), group in groups.items():
        cases = list(dict.fromkeys(item["case_id"] or "the cohort" for item in group))
        more = f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else ""
        repairable = sum(bool(item["safe_repair"]) for item in group)
        meaning = meanings[check]
        rows.append(
            {
                "severity": severity, "meaning": _capital(meaning), "count": len(group),
                "cases": ", ".join(cases[:_NAMED]) + more,
                "repair": "" if not repairable else "yes" if repairable == len(group) else f"{repairable} of {len(group)}",
                "anchor": f"{severity}-{check}" if f"{severity}-{check}" in anchors else severity,
            }
        )  # fmt: skip
    return rows


def _overlaps(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    worst = min(rows, key=lambda row: row["dice"])
    said = f"{len(rows)} pairs were laid over each other in the patients' coordinates. Dice is 1 where two regions are the same; the lowest is {worst['dice']:.2f} (patient {worst['patient_id']}, {worst['modality_1']} and {worst['modality_2']})."  # noqa: E501
    return {"said": said, "rows": rows}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _left_out(findings: int, pictures: int) -> str:
    words = []
    if findings > MOST_FINDINGS:
        words.append(f"The page shows the first {MOST_FINDINGS} of {findings} findings; findings.csv has all.")
    if pictures > MOST_PICTURES:
        words.append(f"The first {MOST_PICTURES} have pictures.")
    return " ".join(words)
