"""9. evaluate: how well every model predicts the cases it never saw."""

from __future__ import annotations

from radpipe.core import tables
from radpipe.evaluation.metrics import evaluate
from radpipe.stages.context import Context, StageResult

NAME = "evaluate"
NEEDS = ("cohort", "predictions", "fits")
MAKES = ("metrics",)


def run(context: Context) -> StageResult:
    """Tables in, table out. The bootstrap draws patients, not cases, so it is told who is whose."""
    predictions = context.read(tables.PREDICTIONS)
    cohort = context.read(tables.COHORT)
    patients = dict(zip(cohort["case_id"], cohort["patient_id"], strict=True))
    metrics = evaluate(predictions, context.read(tables.FITS), context.workflow.evaluation, patients=patients)
    context.write(tables.METRICS, metrics, csv=True)
    models = sorted(set(predictions["model"]))
    return context.finish(NAME, models, sorted(set(metrics["model"])), [])
