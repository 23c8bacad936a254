"""The door of ``radpipe plan``: what a cohort can answer, before anything is fitted and before an image is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radpipe.comparison.question import question_key
from radpipe.config import Workflow
from radpipe.errors import CohortError, ConfigError
from radpipe.evaluation import sample_size
from radpipe.features.dictionary import feature_dictionary
from radpipe.io.tables import read_text_table
from radpipe.report import words
from radpipe.stages.cohort import load_cases
from radpipe.stages.forecast import controls_seconds, cost, disk_bytes, elapsed

GAPS = np.round(np.arange(0.0, 0.301, 0.01), 2)
"""True gaps of AUC at which the chance of each verdict is drawn."""


@dataclass(frozen=True)
class Demand:
    """What a set of candidate parameters asks for. patients : by the strictest criterion; None where none can be computed."""

    what: str
    candidates: int
    patients: int | None
    why: str


@dataclass(frozen=True)
class Plan:
    """kind : of the outcome. events : of two classes, those of class 1; of times, the event meant. chances : true gap of AUC ->
    chance of the verdicts better and equivalent (of two classes only). seconds, disk_mb : of the run, its controls included where
    ``controlled``. controls_s : what controls take of these seconds, or would add."""

    name: str
    kind: str
    patients: int
    cases: int
    events: int | None
    counts: Mapping[str, int]
    demands: tuple[Demand, ...]
    design: Mapping[str, Any]
    reach: sample_size.Reach | None
    needed: Mapping[str, int | None]
    chances: tuple[tuple[float, float, float], ...]
    question_sha256: str
    seconds: float
    workers: int
    disk_mb: float
    controlled: bool
    controls_s: float
    problems: tuple[str, ...] = field(default=())

    def as_text(self) -> str:
        """For a terminal."""
        lines = [f"{self.name}: what this cohort can answer (nothing was fitted, no image was opened)", ""]
        who = f"{self.patients} patients, {self.cases} cases" if self.cases != self.patients else f"{self.patients} patients"
        said = ", ".join(f"{count} {label}" for label, count in self.counts.items())
        lines.append(f"  cohort      {who}: {said}" if said else f"  cohort      {who}")
        for place, demand in enumerate(self.demands):
            asked = f"{demand.patients:,} patients" if demand.patients is not None else f"no number ({demand.why})"
            lines.append(
                f"  {'Riley' if not place else '':<12}{demand.what}: {demand.candidates:,} candidate parameters ask for {asked}"
            )
        if self.reach is not None:
            lines += ["", *(f"  {line}" for line in self.said())]
        lines += [
            "",
            f"  time        about {words.duration(self.seconds)} with {self.workers} worker(s), for lesions of about the demo's size",
        ]
        lines.append(f"              {self.said_of_controls()}")
        lines.append(f"  disk        about {words.megabytes(self.disk_mb)} for the run folder")
        lines.append(f"  question    SHA-256 {self.question_sha256[:16]}... of primary pair, metric, margin and alpha")
        if self.problems:
            lines += ["", f"  {len(self.problems)} case(s) would fail:"] + [f"    {problem}" for problem in self.problems[:10]]
        return "\n".join(lines)

    def said_of_controls(self) -> str:
        """What of the time is the negative controls'."""
        if not self.controls_s:
            return "no negative control can be made of it"
        takes = words.duration(self.controls_s)
        return (
            f"of these {takes} for negative controls" if self.controlled else f"negative controls (--controls) would add {takes}"
        )

    def said(self) -> list[str]:
        """What can be resolved, in sentences."""
        reach = self.reach
        if reach is None:
            return []
        margin = self.design["margin"]
        found = []
        if np.isfinite(reach.detectable_gap):
            found.append(
                f"A true gap of {reach.detectable_gap:.2f} AUC between two models would be found in 80 % of such studies."
            )
        else:
            found.append("No gap of AUC whatever would be found in 80 % of such studies.")
        if reach.p_equivalent >= 0.8:
            found.append(f"Two equal models would be called equivalent within {margin:g} in {100 * reach.p_equivalent:.0f} %.")
        else:
            enough = self.needed.get("equivalent")
            more = f" About {enough:,} patients would do." if enough else ""
            found.append(
                f"“Equivalent within {margin:g}” is out of reach: two equal models would be called so in {100 * reach.p_equivalent:.0f} %.{more}"
            )
        if not np.isfinite(reach.detectable_gap) or reach.detectable_gap > 0.15:
            found.append(
                "Expect “not resolved” unless the models differ a great deal: say so beforehand, and plan for more patients."
            )
        found.append(f"Assumed: {reach.assumed}.")
        return found


def plan_workflow(
    workflow: Workflow, *, auc: float, correlation: float, workers: int | None = None, controls: bool = False
) -> Plan:
    """auc : expected of the better-known model. correlation : of the two models' errors. controls : as ``radpipe run --controls``.

    CohortError, ConfigError as a run raises them.
    """
    if controls and workflow.controls is None:
        workflow = workflow.with_controls()
    rows, problems = load_cases(workflow)
    wanted = workers or workflow.compute.count
    candidates = {"clinical columns": _clinical_parameters(rows, workflow.cohort.clinical)} if workflow.cohort.clinical else {}
    candidates["features before selection"] = _features(workflow)
    design = {
        "repeats": workflow.splits.repeats, "folds": workflow.splits.folds, "margin": workflow.comparison.margin,
        "alpha": workflow.comparison.alpha, "auc": auc, "correlation": correlation, "r2": workflow.report.assumed_r2,
    }  # fmt: skip
    return _plan(
        workflow.title or workflow.name, workflow.cohort.outcome_kind, rows, candidates, design,
        horizon=workflow.cohort.horizon, question_sha256=question_key(workflow.comparison), seconds=elapsed(cost(workflow, rows), wanted),
        workers=wanted, disk_mb=disk_bytes(workflow, rows) / 1e6, controlled=workflow.controls is not None,
        controls_s=controls_seconds(workflow, rows, wanted), problems=tuple(str(problem) for problem in problems),
    )  # fmt: skip


def _plan(
    name: str, kind: str, rows: pd.DataFrame, candidates: Mapping[str, int], design: Mapping[str, Any], *, horizon: float | None, **rest: Any
) -> Plan:  # fmt: skip
    people = rows.drop_duplicates("patient_id")
    outcome = people["outcome"].astype(int)
    n = len(people)
    if not n:
        raise CohortError("no case of the manifest can be used.", hint="See what is wrong with `radpipe run --dry-run`.")
    counts: dict[str, int] = {}
    reach, needed, chances = None, {}, ()
    events: int | None = None
    if kind == "classes":
        labels = {int(label): int(count) for label, count in outcome.value_counts().sort_index().items()}
        two = set(labels) <= {0, 1}
        counts = (
            {"with the event": labels.get(1, 0), "without": labels.get(0, 0)}
            if two
            else {f"of class {k}": v for k, v in labels.items()}
        )
        if two:
            events = labels.get(1, 0)
            reach, needed, chances = _resolution(events, n - events, design)
    elif kind == "time_to_event":
        events = int((outcome == 1).sum())
        counts = {
            "with the event": events,
            "with a competing event": int((outcome == 2).sum()),
            "censored": int((outcome == 0).sum()),
        }
        counts = {label: count for label, count in counts.items() if count or label != "with a competing event"}
    demands = tuple(
        _demand(what, int(number), kind, people, events, n, design, horizon) for what, number in candidates.items() if number
    )
    return Plan(name, kind, n, len(rows), events, counts, demands, design, reach, needed, chances, **rest)


def _demand(
    what: str, candidates: int, kind: str, people: pd.DataFrame, events: int | None, n: int, design: Mapping[str, Any], horizon: float | None
) -> Demand:  # fmt: skip
    try:
        if kind == "classes" and events is not None:
            found = sample_size.riley(candidates, events / n, design["r2"]).patients
        elif kind == "number":
            value = people["value"].astype(float)
            found = sample_size.riley_number(candidates, float(value.mean()), float(value.std()), design["r2"]).patients
        elif kind == "time_to_event" and horizon is not None:
            time = people["time"].astype(float)
            rate = float((people["outcome"].astype(int) == 1).sum()) / float(time.sum())
            found = sample_size.riley_time(candidates, rate, float(time.mean()), horizon, design["r2"]).patients
        else:
            return Demand(what, candidates, None, "Riley's criteria are not worked out here for more than two classes")
    except ConfigError as error:
        return Demand(what, candidates, None, error.problem.rstrip("."))
    return Demand(what, candidates, found, "")


def _resolution(
    events: int, others: int, design: Mapping[str, Any]
) -> tuple[sample_size.Reach | None, dict[str, int | None], tuple[tuple[float, float, float], ...]]:
    if not events or not others:
        return None, {}, ()
    known = {name: design[name] for name in ("auc", "correlation", "margin", "repeats", "folds", "alpha")}
    reach = sample_size.reach(events, others, **known)
    share = events / (events + others)

    def at(n: int) -> sample_size.Reach:
        return sample_size.reach(max(1, round(share * n)), max(1, n - round(share * n)), **known)

    steps = [round(50 * 1.25**k) for k in range(28)]
    equivalent = next((n for n in steps if n > events + others and at(n).p_equivalent >= 0.8), None)
    chances = tuple(
        (float(gap), *sample_size.chances(reach, float(gap), design["margin"], design["alpha"], design["repeats"]))
        for gap in GAPS
    )
    return reach, {"equivalent": equivalent}, chances


def _clinical_parameters(rows: pd.DataFrame, columns: tuple[str, ...]) -> int:
    """A number counts one, a category its levels less one."""
    total = 0
    for name in columns:
        values = rows[name]
        numeric = pd.api.types.is_numeric_dtype(values)
        total += 1 if numeric else max(1, int(values.dropna().nunique()) - 1)
    return total


def _features(workflow: Workflow) -> int:
    """Columns that selection chooses among; of habitats, whose number is found in the folds, none is counted."""
    if workflow.features.table is not None:
        return max(0, read_text_table(workflow.resolve(str(workflow.features.table))).shape[1] - 1)
    return len(feature_dictionary(workflow.features))


def plan_manifest(path: Path, outcome: str, *, positive: str | None, clinical: tuple[str, ...], **options: Any) -> Plan:
    """Of a manifest without a workflow: PyRadiomics' 107 features and the default splits, models and margin."""
    workflow = Workflow.model_validate(
        {
            "radpipe_workflow": 1, "name": "plan", "title": path.name,
            "cohort": {"manifest": str(path.resolve()), "outcome": outcome, "positive": positive, "clinical": list(clinical)},
            "splits": {"repeats": 10, "folds": 5},
            "models": {
                "ann": {"kind": "ann"}, "cnn": {"kind": "cnn3d"}, "volume": {"kind": "logistic", "inputs": "volume"},
                **({"clinical": {"kind": "logistic", "inputs": "clinical"}} if clinical else {}),
            },
            "segmentation": {"masks": "given"},
            "comparison": {"primary": ["ann", "cnn"]},
        }
    )  # fmt: skip
    return plan_workflow(workflow, **options)
