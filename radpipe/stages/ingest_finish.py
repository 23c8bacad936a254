"""The last step of an ingest: cases, merged masks, pictures, tables, outcomes; and the folder, whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radpipe.errors import RunError
from radpipe.intake import ingest_table
from radpipe.intake.cases import CaseFacts, LeftRegion, name_cases
from radpipe.intake.ingest_table import FAILED, LEFT, USED
from radpipe.intake.pairing import REGISTERED
from radpipe.io.cohort_folder import MANIFEST
from radpipe.io.dicom.headers import read_header, reasons, tags
from radpipe.io.dicom.headers import text as text_of
from radpipe.io.files import atomic_write
from radpipe.io.rows import to_csv
from radpipe.stages import intake_work
from radpipe.stages._parallel import Task
from radpipe.stages.ingest_settings import Outcomes
from radpipe.stages.ingest_state import Ingest, Ingested, RegionsOf, plain


def finish(state: Ingest, outcomes: Outcomes | None) -> Ingested:
    """Cases, tables, and the folder."""
    images = {key: image.facts for key, image in state.images.items()}
    regions = {key: one.facts for key, one in state.regions.items()}
    cases, left = name_cases(images, regions, state.pairs, region_map=state.options.region_map, merge=state.options.merge)
    rules = {(pair.image, pair.region, number): pair.rule for pair in state.pairs for number in pair.rois}
    made, region_rows = _made(state, cases)
    region_rows += [_left_row(state, one, rules) for one in left]
    merged, pictures = _merged(state, made), {}
    pictures = _pictures(state, made, merged, region_rows)
    files: dict[str, tuple[str, Path] | bytes] = {}
    rows = []
    for case in made:
        image = state.images[case.image]
        assert image.result is not None
        facts = image.facts
        image_path, mask_path = f"images/{case.image_name}.nii.gz", f"masks/{case.case_id}.nii.gz"
        files[image_path] = (image.result.key, image.result.file(intake_work.IMAGE))
        files[mask_path] = merged[case.case_id]
        if case.case_id in pictures:
            files[f"overlays/{case.case_id}.png"] = pictures[case.case_id]
        frames = dict(zip(ingest_table.FRAME_COLUMNS, (facts.frame, _frame_of(state, case)), strict=True))
        rows.append(
            {"case_id": case.case_id, "patient_id": facts.patient_id, "modality": facts.modality, "roi": case.roi,
             "image_path": image_path, "mask_path": mask_path, "label": 1, **frames}
        )  # fmt: skip
        _use(state, case)
    numbered = sum(case.roi not in case.names for case in made) if state.options.region_map is None else 0
    rows.sort(key=lambda row: str(row["case_id"]))
    done = state.so_far(rows, region_rows)
    if numbered:
        done.notes.append(
            f"{numbered} cases have regions of one name on one image (several structure sets, or names given twice): all are "
            "taken, numbered NAME-1, NAME-2; ingest_regions.csv says which is from which file. A --roi-map can refuse or merge them."
        )
    unnamed = {str(row["patient_id"]) for row in rows if row["patient_id"] in state.unnamed}
    if unnamed:
        done.notes.append(
            f"{len(unnamed)} patients without a PatientID are called {', '.join(sorted(unnamed)[:3])}"
            f"{' ...' if len(unnamed) > 3 else ''}, by their study."
        )
    columns = _columns(rows)
    if outcomes is not None:
        columns = _join(state, outcomes, done, files)
    _tables(state, done, columns, files)
    if state.options.table is not None and state.discretion is not None:
        _who_is_who(state, state.options.table)
    state.cohort.publish(files)
    return done


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The manifest's, without the frames of reference where no case has one."""
    frames = ingest_table.FRAME_COLUMNS if any(row[name] for row in rows for name in ingest_table.FRAME_COLUMNS) else ()
    return [*ingest_table.MANIFEST_COLUMNS, *frames]


def _frame_of(state: Ingest, case: CaseFacts) -> str:
    """The frame of reference that a case's mask lies in: that which its positions name, or the image's where a registration
    brought them there. Of several regions in one mask, the one that is not the image's."""
    mine = state.images[case.image].facts.frame
    moved = {
        (pair.region, roi) for pair in state.pairs if pair.image == case.image and pair.how == REGISTERED for roi in pair.rois
    }
    named = [
        roi.frame
        for key, number in case.sources
        for roi in state.regions[key].facts.rois
        if roi.number == number and (key, number) not in moved
    ]
    return next((frame for frame in named if frame and frame != mine), mine)


def _made(state: Ingest, cases: Sequence[CaseFacts]) -> tuple[list[CaseFacts], list[dict[str, Any]]]:
    """Cases whose image and mask are there; and a row for every region of every case."""
    made, rows = [], []
    for case in cases:
        image = state.images[case.image]
        whole = True
        for (key, number), name in zip(case.sources, case.names, strict=True):
            regions = state.regions[key]
            found, _ = regions.drawn.get((case.image, number), ({}, Path()))
            facts = image.failure or found.get("failure")
            row = _region_row(state, case.image, regions, name, case.case_id, case.roi, case.rule, case.transferred)
            if facts is None:
                notes = [*found["notes"], *([state.remarks[key]] if key in state.remarks else [])]
                row |= {"status": USED, "voxels": found["voxels"], "volume_ml": found["volume_ml"], "notes": " ".join(notes),
                        "touches_border": "yes" if found["border"] else "no"}  # fmt: skip
                rows.append(row)
                continue
            whole = False
            # Nobody asked for a transferred region by name: where the image does not reach it, that is no fault.
            beyond = image.failure is None and case.transferred and facts["error"] in ("geometry", "empty_roi")
            rows.append(row | {"status": LEFT if beyond else FAILED, "why": facts["problem"]})
            if beyond:
                regions.item.why = regions.item.why or plain(facts["problem"])
            elif image.failure is not None:
                image.item.why = plain(facts["problem"])
                regions.item.why = regions.item.why or "the image it belongs to could not be read"
                state.fail(case.case_id, state.where(facts, image), image.item.item, facts)
            else:
                regions.item.why = regions.item.why or plain(facts["problem"])
                state.fail(case.case_id, regions.relative, regions.item.item, facts)
        if whole:
            made.append(case)
    return made, rows


def _left_row(state: Ingest, one: LeftRegion, rules: dict[tuple[str, str, int], str]) -> dict[str, Any]:
    key, number = one.sources[0]
    regions = state.regions[key]
    row = _region_row(state, one.image, regions, " + ".join(one.names), one.case_id, "", rules[one.image, key, number], False)
    regions.item.why = regions.item.why or plain(one.why)
    state.images[one.image].item.why = state.images[one.image].item.why or "none of its regions is taken"
    if one.fault:
        state.fail(one.case_id, regions.relative, regions.item.item, {"error": "cohort", "problem": one.why, "hint": one.hint})
    return row | {"status": FAILED if one.fault else LEFT, "why": one.why}


def _region_row(
    state: Ingest, image: str, regions: RegionsOf, name: str, case_id: str, roi: str, rule: str, transferred: bool
) -> dict[str, Any]:
    facts = state.images[image].facts
    return {
        "case_id": case_id, "patient_id": facts.patient_id, "modality": facts.modality, "series_number": facts.number,
        "roi": roi, "name": name, "rule": rule, "transferred": "yes" if transferred else "no", "file": regions.relative,
    }  # fmt: skip


def _merged(state: Ingest, made: Sequence[CaseFacts]) -> dict[str, tuple[str, Path]]:
    """case_id -> (key of its content, its mask)."""
    found: dict[str, tuple[str, Path]] = {}
    tasks = []
    for case in made:
        masks = [state.regions[key].drawn[case.image, number][1] for key, number in case.sources]
        key = state.key("merged", masks=[str(mask.relative_to(state.store.root)) for mask in masks])
        if len(masks) == 1:
            found[case.case_id] = (key, masks[0])
        else:
            tasks.append(Task(case.case_id, key, {"masks": [str(mask) for mask in masks]}, case_id=case.case_id))
    result = state.map("merged", "merge_masks", tasks)
    if result.failures:
        raise RunError(result.failures[0]["problem"], hint=result.failures[0]["hint"], case_id=result.failures[0]["case_id"])
    return found | {name: (stored.key, stored.file(intake_work.mask_name(0))) for name, stored in result.done.items()}


def _pictures(
    state: Ingest, made: Sequence[CaseFacts], masks: dict[str, tuple[str, Path]], rows: list[dict[str, Any]]
) -> dict[str, tuple[str, Path]]:
    """case_id -> (key of its content, picture), of the cases with transferred regions."""
    tasks = []
    for case in made:
        image = state.images[case.image]
        if not case.transferred or image.result is None:
            continue
        words = {
            "title": case.case_id,
            "subtitle": case.rule,
            "modality": image.facts.modality,
            "unit": image.result.row["unit"],
        }
        key = state.key("overlays", image=image.result.key, mask=masks[case.case_id][0], **words)
        payload = {"image": str(image.result.file(intake_work.IMAGE)), "masks": [str(masks[case.case_id][1])], **words}
        tasks.append(Task(case.case_id, key, payload, case_id=case.case_id))
    result = state.map("overlays", "draw_overlay", tasks)
    for failure in result.failures:
        state.fail(failure["case_id"], "", "overlay", failure)
    for row in rows:
        if row["case_id"] in result.done and row.get("status") == USED:
            row["overlay"] = f"overlays/{row['case_id']}.png"
    return {name: (stored.key, stored.file(intake_work.PICTURE)) for name, stored in result.done.items()}


def _use(state: Ingest, case: CaseFacts) -> None:
    image = state.images[case.image]
    for item in {id(one): one for one in (image.item, *(state.regions[key].item for key, _ in case.sources))}.values():
        item.used = True
        item.cases.append(case.case_id)
    if any(pair.image == case.image and pair.how == REGISTERED for pair in state.pairs):
        for item in state.others:
            if item.item == "registration" and item.patient_id == image.facts.patient_id:
                item.used, item.why = True, ""
                item.cases.append(case.case_id)


def source_ids(state: Ingest) -> dict[str, str]:
    """Pseudonym -> the id that the export has: known while the command runs, and written nowhere but where the user asks for it."""
    assert state.discretion is not None
    found: dict[str, str] = {}
    for image in state.images.values():
        if image.facts.patient_id not in found and image.series is not None:
            with reasons():
                header, _ = read_header(image.series.files[0].path, tags("PatientID"))
            found[image.facts.patient_id] = text_of(header, "PatientID").strip()
    return {shown: source for shown, source in found.items() if source}


def _who_is_who(state: Ingest, table: Path) -> None:
    """The user's own tables: which patient a pseudonym stands for, and beside it which file and region. Nobody else may read them."""
    assert state.discretion is not None
    people = [{"patient_id": source, "pseudonym": shown} for shown, source in sorted(source_ids(state).items())]
    others = [{"what": "file", "original": real, "shown": shown} for shown, real in sorted(state.real.items()) if real != shown]
    names = set()
    for regions in state.regions.values():
        if regions.facts.kind != "volume":
            found = intake_work.describe_regions({"path": str(regions.path), "kind": regions.facts.kind, "key_file": ""}, Path())
            names |= {roi["name"] for roi in found["rois"]}
    shown_as = {name: state.discretion.text(name) for name in names}
    others += [{"what": "region", "original": name, "shown": shown} for name, shown in sorted(shown_as.items()) if name != shown]
    for path, columns, rows in (
        (table, ("patient_id", "pseudonym"), people),
        (table.with_name(f"{table.stem}.others{table.suffix}"), ("what", "original", "shown"), others),
    ):
        with atomic_write(path) as temporary:
            temporary.write_bytes(to_csv(columns, rows).encode())
            temporary.chmod(0o600)


def _tables(state: Ingest, done: Ingested, columns: Sequence[str], files: dict[str, tuple[str, Path] | bytes]) -> None:
    listed = ingest_table.file_rows(done.items)
    ingest_table.check_all_there(listed, state.walked)
    for name, names, rows in (
        (MANIFEST, columns, done.rows),
        ("ingest.csv", ingest_table.ITEM_COLUMNS, ingest_table.item_rows(done.items)),
        ("ingest_regions.csv", ingest_table.REGION_COLUMNS, done.regions),
        ("ingest_files.csv", ingest_table.FILE_COLUMNS, listed),
        ("failures.csv", ingest_table.FAILURE_COLUMNS, done.failures),
    ):
        if rows or name != "failures.csv":
            files[name] = to_csv(names, rows).encode()


def _join(state: Ingest, outcomes: Outcomes, done: Ingested, files: dict[str, tuple[str, Path] | bytes]) -> list[str]:
    """The manifest's columns, with those of the sheet; the rows get their cells, and the folder the reports."""
    import pandas as pd

    from radpipe.core.intake_tables import OUTCOME_CELLS, OUTCOME_IDS
    from radpipe.intake.outcomes import join_outcomes
    from radpipe.io.spreadsheets import read_pseudonyms, read_sheet

    sheet = read_sheet(outcomes.path, outcomes.id_column, sheet=outcomes.sheet)
    pseudonyms = read_pseudonyms(outcomes.pseudonyms) if outcomes.pseudonyms is not None else None
    if state.discretion is not None:
        # The sheet has the ids of the export, or those that a table says stand for them there; the cases have pseudonyms.
        mine = {source: shown for shown, source in source_ids(state).items()}
        if pseudonyms is None:
            pseudonyms = mine
        else:  # a table of what is in the files, or the one that --write-pseudonyms made
            made = set(mine.values())
            pseudonyms = {one: mine.get(there, there) for one, there in pseudonyms.items() if there in mine or there in made}
    cases = pd.DataFrame(done.rows, columns=_columns(done.rows)).astype(str)
    joined = join_outcomes(cases, sheet, outcomes.id_column, day_first=outcomes.day_first, pseudonyms=pseudonyms)
    done.rows = [{str(name): cell for name, cell in row.items()} for row in joined.frame.to_dict("records")]
    done.outcomes = joined.notes
    files["outcomes_report.csv"] = to_csv([column.name for column in OUTCOME_IDS.columns], joined.ids).encode()
    if joined.cells:
        files["outcomes_cells.csv"] = to_csv([column.name for column in OUTCOME_CELLS.columns], joined.cells).encode()
    return [str(name) for name in joined.frame.columns]
