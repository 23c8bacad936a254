"""10. compare: every two models on the same patients and splits."""

from __future__ import annotations

from radpipe.comparison.compare import compare_models
from radpipe.core import tables
from radpipe.stages.context import Context, StageResult

NAME = "compare"
NEEDS = ("cohort", "predictions", "fits", "splits")
MAKES = ("comparison",)


def run(context: Context) -> StageResult:
    """Tables in, table out."""
    predictions = context.read(tables.PREDICTIONS)
    cohort = context.read(tables.COHORT)
    comparison = compare_models(
        predictions, context.read(tables.SPLITS), context.workflow.comparison, fits=context.read(tables.FITS),
        patients=dict(zip(cohort["case_id"], cohort["patient_id"], strict=True)),
        horizon=getattr(context.workflow.cohort, "horizon", None),
    )  # fmt: skip
    context.write(tables.COMPARISON, comparison, csv=True)
    models = sorted(set(predictions["model"]))
    # A model of the primary pair whose fits all failed stands in the table, untested; it made no predictions.
    compared = models if len(models) == 1 else sorted({*comparison["model_a"], *comparison["model_b"]} & set(models))
    return context.finish(NAME, models, compared, [])
