"""2. preprocess: every image and given mask on the grid and in the units the networks are fed."""

from __future__ import annotations

from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.stages._parallel import Task
from radpipe.stages.cohort import case_payload, reading_parts
from radpipe.stages.context import Context, StageResult, engine_version

NAME = "preprocess"
NEEDS = ("cohort",)
MAKES = ("preprocessed",)


def run(context: Context) -> StageResult:
    """One task a case; the results stay in the store and the table says where."""
    if not context.workflow.needs_images:
        return context.not_needed(NAME, [tables.PREPROCESSED], "the features come from a table")
    settings = context.workflow.preprocessing.model_dump(mode="json")
    engine = engine_version("preprocessing", "io", "cohort")
    cohort = context.read(tables.COHORT)
    tasks = [
        Task(
            task_id=row["case_id"],
            key=content_key(stage=NAME, engine=engine, image=row["image_sha256"], mask=row["mask_sha256"], label=row["label"],
                            modality=row["modality"], settings=settings, **reading_parts(context.workflow)),
            payload={**case_payload(context.workflow, row), "settings": settings},
            case_id=row["case_id"],
            path=row["image_path"],
        )
        for row in cohort.to_dict("records")
    ]  # fmt: skip
    result = context.map(NAME, "radpipe.stages.work:prepare_case", tasks)
    context.write(
        tables.PREPROCESSED,
        [
            {
                "case_id": case_id,
                "image_path": context.folder.relative(stored.folder / "image.nii.gz"),
                "mask_path": context.folder.relative(stored.folder / "mask.nii.gz"),
                "key": stored.key,
            }
            for case_id, stored in result.done.items()
        ],
    )
    return context.finish(NAME, list(cohort["case_id"]), list(result.done), result.failures)
