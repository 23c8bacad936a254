"""11. compare: every two models on the same patients and splits."""

from __future__ import annotations

from radpipe.comparison.compare import compare_models
from radpipe.core import tables
from radpipe.stages.context import Context, StageResult

NAME = "compare"
NEEDS = ("cohort", "predictions", "fits", "splits")
MAKES = ("comparison",)


def run(context: Context) -> StageResult:
    """Tables in, table out. References that nobody named stand beside the study and in no test: each would cost the others power."""
    predictions = context.read(tables.PREDICTIONS)
    beside = set(context.workflow.references_added) - set(context.workflow.comparison.primary or ())
    predictions = predictions[~predictions["model"].isin(beside)]
    cohort = context.read(tables.COHORT)
    comparison = compare_models(
        predictions, context.read(tables.SPLITS), context.workflow.comparison, fits=context.read(tables.FITS),
        patients=dict(zip(cohort["case_id"], cohort["patient_id"], strict=True)), horizon=context.workflow.cohort.horizon,
    )  # fmt: skip
    context.write(tables.COMPARISON, comparison, csv=True)
    models = sorted(set(predictions["model"]))
    # A model of the primary pair whose fits all failed stands in the table, untested; it made no predictions.
    compared = models if len(models) == 1 else sorted({*comparison["model_a"], *comparison["model_b"]} & set(models))
    return context.finish(NAME, models, compared, [])
