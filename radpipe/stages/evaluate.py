"""7. evaluate: how well every model predicts the cases it never saw."""

from __future__ import annotations

from radpipe.core import tables
from radpipe.evaluation.metrics import evaluate
from radpipe.stages.context import Context, StageResult

NAME = "evaluate"
NEEDS = ("predictions", "fits")
MAKES = ("metrics",)


def run(context: Context) -> StageResult:
    """Tables in, table out."""
    predictions = context.read(tables.PREDICTIONS)
    metrics = evaluate(predictions, context.read(tables.FITS), context.workflow.evaluation)
    context.write(tables.METRICS, metrics, csv=True)
    models = sorted(set(predictions["model"]))
    return context.finish(NAME, models, sorted(set(metrics["model"])), [])
