"""10. evaluate: how well every model predicts the cases it never saw."""

from __future__ import annotations

from radpipe.core import tables
from radpipe.evaluation.conformal import conformal_tables
from radpipe.evaluation.curves import decision_curves, risk_groups
from radpipe.evaluation.metrics import evaluate
from radpipe.evaluation.subgroups import subgroup_table
from radpipe.evaluation.time_auc import time_auc_table
from radpipe.stages.context import Context, StageResult

NAME = "evaluate"
NEEDS = ("cohort", "predictions", "fits")
MAKES = ("metrics", "conformal", "conformal_sets", "decision_curves", "risk_groups", "time_auc", "subgroups")


def run(context: Context) -> StageResult:
    """Tables in, table out. The bootstrap draws patients, not cases, so it is told who is whose."""
    predictions = context.read(tables.PREDICTIONS)
    cohort = context.read(tables.COHORT)
    patients = dict(zip(cohort["case_id"], cohort["patient_id"], strict=True))
    settings = context.workflow.evaluation
    horizon: float | None = context.workflow.cohort.horizon
    metrics = evaluate(predictions, context.read(tables.FITS), settings, patients=patients, horizon=horizon)
    context.write(tables.METRICS, metrics, csv=True)
    conformal, sets = conformal_tables(predictions, settings)
    context.write(tables.CONFORMAL, conformal, csv=True)
    context.write(tables.CONFORMAL_SETS, sets, csv=True)
    context.write(tables.DECISION_CURVES, decision_curves(predictions, settings, patients=patients, horizon=horizon), csv=True)
    context.write(tables.RISK_GROUPS, risk_groups(predictions, settings), csv=True)
    context.write(tables.TIME_AUC, time_auc_table(predictions, settings), csv=True)
    columns = [column for column in context.workflow.cohort.clinical if column in cohort.columns]
    context.write(tables.SUBGROUPS, subgroup_table(predictions, cohort, columns, settings, patients=patients), csv=True)
    models = sorted(set(predictions["model"]))
    return context.finish(NAME, models, sorted(set(metrics["model"])), [])
