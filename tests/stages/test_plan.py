"""``radpipe plan``: published sample sizes, and what is said of small and large cohorts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from radpipe.cli.run import run as command
from radpipe.config import load_workflow
from radpipe.errors import RadpipeError
from radpipe.models.registry import MODELS
from radpipe.report.plan_page import render
from radpipe.stages.cohort import load_cases
from radpipe.stages.forecast import SECONDS, controls_seconds, cost, disk_bytes, elapsed
from radpipe.stages.plan import Plan, plan_workflow

CLINICAL = tuple(f"c{k}" for k in range(5))


def plan_of(
    folder: Path, n: int, events: int, *, repeats: int = 10, cohort: dict[str, object] | None = None, **options: float
) -> Plan:
    """A cohort of so many patients with five clinical numbers and a table of ten features."""
    rng = np.random.default_rng(n)
    cases = [f"P{k:04d}" for k in range(n)]
    manifest = pd.DataFrame({"case_id": cases, "patient_id": cases, "relapse": (np.arange(n) < events).astype(int)})
    manifest["months"] = rng.exponential(25.0, n).round(2)
    manifest = manifest.assign(**{name: rng.normal(size=n).round(3) for name in CLINICAL})
    manifest.to_csv(folder / "manifest.csv", index=False)
    pd.DataFrame({"case_id": cases, **{f"f{k}": rng.normal(size=n).round(3) for k in range(10)}}).to_csv(
        folder / "features.csv", index=False
    )
    workflow = {
        "radpipe_workflow": 1, "name": "planned",
        "cohort": {"manifest": "manifest.csv", "outcome": "relapse", "clinical": list(CLINICAL), **(cohort or {})},
        "splits": {"repeats": repeats, "folds": 5}, "segmentation": {"masks": "given"}, "features": {"table": "features.csv"},
        "models": {"ann": {"kind": "ann"}},
    }  # fmt: skip
    (folder / "workflow.yaml").write_text(yaml.safe_dump(workflow))
    return plan_workflow(load_workflow(folder / "workflow.yaml"), **{"auc": 0.75, "correlation": 0.5, **options})


def test_a_small_cohort_is_told_what_it_cannot_answer(tmp_path: Path) -> None:
    """359: Riley's criteria for 5 parameters, R2 0.2 and 37 % events (../shared/design/STATISTICS.md, from pmsampsize)."""
    found = plan_of(tmp_path, 100, 37)
    assert (found.patients, found.events, dict(found.counts)) == (100, 37, {"with the event": 37, "without": 63})
    assert [(d.what, d.candidates) for d in found.demands] == [("clinical columns", 5), ("features before selection", 10)]
    assert found.demands[0].patients == 359
    assert found.reach is not None
    assert "equivalent" not in found.reach.verdicts
    text = found.as_text()
    assert "ask for 359 patients" in text
    assert "out of reach" in text
    page = render(
        {**vars(found), "reach": vars(found.reach), "demands": [vars(d) for d in found.demands]}, found.said(), found.said_of_controls()
    )  # fmt: skip
    assert "100 patients, 37 with the event" in page
    assert page.count("<svg") == 2


def test_equivalence_comes_into_reach_where_simulation_found_it(tmp_path: Path) -> None:
    """At correlation 0.7, simulation called equal models equivalent in 0 % at n = 180 and in 92 % at n = 1,000."""
    reachable = {n: plan_of(tmp_path, n, round(0.37 * n), correlation=0.7).reach for n in (180, 1000)}
    assert [found is not None and "equivalent" in found.verdicts for found in reachable.values()] == [False, True]


def test_what_is_said_grows_with_the_cohort(tmp_path: Path) -> None:
    gaps = [plan_of(tmp_path, n, n // 3).reach for n in (60, 240, 960)]
    assert all(found is not None for found in gaps)
    assert [found.detectable_gap for found in gaps] == sorted((found.detectable_gap for found in gaps), reverse=True)  # type: ignore[union-attr]


def test_the_chances_of_the_verdicts_are_chances(tmp_path: Path) -> None:
    for n in (50, 2000):
        chances = np.array(plan_of(tmp_path, n, n // 3).chances)
        assert chances[:, 1:].min() >= 0
        assert chances[:, 1:].sum(axis=1).max() <= 1 + 1e-12
        assert (np.diff(chances[:, 1]) >= -1e-9).all()  # a larger gap is found more often
        assert (np.diff(chances[:, 2]) <= 1e-9).all()  # and called equivalent less often


def test_one_repeat_gives_no_verdict(tmp_path: Path) -> None:
    found = plan_of(tmp_path, 100, 37, repeats=1)
    assert found.reach is not None
    assert found.reach.verdicts == ("not_resolved",)
    assert "No gap of AUC whatever" in found.as_text()


def test_other_kinds_of_outcome(tmp_path: Path) -> None:
    times = {"outcome_kind": "time_to_event", "time": "months", "event": ["1"], "horizon": 24}
    found = plan_of(tmp_path, 120, 50, cohort=times)
    assert dict(found.counts) == {"with the event": 50, "censored": 70}
    assert all(demand.patients is not None and demand.patients > 120 for demand in found.demands)
    number = plan_of(tmp_path, 120, 50, cohort={"outcome": "months", "outcome_kind": "number"})
    assert number.events is None
    assert number.reach is None
    assert all(demand.patients is not None for demand in number.demands)


def test_an_outcome_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RadpipeError, match="outcome"):
        plan_of(tmp_path, 40, 0)


# Seconds by the clock of `make demo` on two cores with two workers, 2026-11-21: the lines of its logs/run.log.
DEMO_S = {"segment": 143.3, "embed, select, train": 111.6 + 36.8 + 50.7, "report": 12.9 + 1.0 + 4.9, "in all": 378.0}


def test_the_demo_takes_about_as_long_as_is_said() -> None:
    """Within a factor of 1.5, stage by stage. The networks are three rounds of two workers, whatever five halves may be."""
    workflow = load_workflow(Path(__file__).parents[2] / "workflows" / "sts_pet.yaml")
    lines = cost(workflow, load_cases(workflow)[0])
    said = {"in all": elapsed(lines, 2)}
    for stages in DEMO_S.keys() - {"in all"}:
        said[stages] = sum(line.elapsed(2) for line in lines if line.stage in stages)
    assert {
        stage: round(said[stage] / DEMO_S[stage], 2) for stage in DEMO_S if not 1 / 1.5 < said[stage] / DEMO_S[stage] < 1.5
    } == {}
    networks = next(line for line in lines if line.what == "5 networks")
    assert networks.elapsed(2) == networks.elapsed(3) * 1.5 == networks.elapsed(5) * 3
    assert elapsed(lines, 4) < elapsed(lines, 2) < elapsed(lines, 1)


# Of workflows/sts_pet_full.yaml with one worker, 2026-11-22 (logs/timings): 100 permutations in 871 s by the clock, on a machine that
# others used too, of which 588 CPU seconds in the children; with 1,000 columns of noise 276 CPU seconds. Bytes: of the controls' folders.
FULL = {"permuted": (871.0, 36.7e6), "noise": (276.0, 86.9e6)}


def test_controls_are_counted() -> None:
    """Within a factor of 1.5 of what was measured, and the same whether the workflow or the command line asks for them."""
    workflow = load_workflow(Path(__file__).parents[2] / "workflows" / "sts_pet_full.yaml")
    rows = load_cases(workflow)[0]
    lines = {line.what.split(":")[0]: line for line in cost(workflow, rows) if line.stage == "controls"}
    assert list(lines) == ["100 permuted outcomes", "1000 columns of noise", "shuffled voxels", "random region"]
    said = {"permuted": lines["100 permuted outcomes"].elapsed(1), "noise": lines["1000 columns of noise"].elapsed(1)}
    assert {name: said[name] / FULL[name][0] for name in said if not 1 / 1.5 < said[name] / FULL[name][0] < 1.5} == {}
    # five folds are three rounds of two workers, a hundred times
    assert lines["100 permuted outcomes"].elapsed(2) == pytest.approx(100 * (3 / 5 * (said["permuted"] / 100 - 1.0) + 1.0))
    bare = workflow.model_copy(update={"controls": None})
    only = lambda **changes: workflow.model_copy(update={"controls": workflow.controls.model_copy(update=changes)})  # type: ignore[union-attr]  # noqa: E731
    assert cost(bare.with_controls(), rows) == cost(workflow, rows)
    assert [line for line in cost(workflow, rows) if line.stage != "controls"] == cost(bare, rows)
    quiet = disk_bytes(only(noise_columns=0), rows)
    assert disk_bytes(workflow, rows) - quiet == pytest.approx(FULL["noise"][1], rel=0.5)
    assert quiet - disk_bytes(only(noise_columns=0, permutations=50), rows) == pytest.approx(FULL["permuted"][1] / 2, rel=0.5)
    assert controls_seconds(bare, rows, 1) == sum(line.elapsed(1) for line in lines.values())


def test_a_table_of_features_has_no_images_to_alter(tmp_path: Path) -> None:
    """And what the command line says of it: with its controls, or what they would add."""
    plain = plan_of(tmp_path, 60, 24)
    asked = plan_workflow(load_workflow(tmp_path / "workflow.yaml"), auc=0.75, correlation=0.5, controls=True)
    assert asked.seconds == pytest.approx(plain.seconds + plain.controls_s) and asked.controls_s == plain.controls_s > 0
    assert asked.disk_mb > plain.disk_mb
    assert "negative controls (--controls) would add" in plain.as_text() and "of these" in asked.as_text()
    done = CliRunner().invoke(
        command, [str(tmp_path / "workflow.yaml"), "--dry-run", "--controls", "--out", str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    assert "100 permuted outcomes: ann" in done.output and "columns of noise" in done.output and "shuffled" not in done.output


def test_every_kind_of_model_has_its_time() -> None:
    assert set(MODELS) - set(SECONDS) == set()
