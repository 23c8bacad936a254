"""docs/tabular.md from the runs of tools/tabular.py: the words stand here, every number comes from a run's tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

LEADING = ("auc", "harrell_c")
MODELS = ("ann", "logistic", "forest", "xgboost", "svm", "cox", "volume", "cnn")
VERDICTS = {"a_better": "first better", "b_better": "second better", "equivalent": "equivalent", "not_resolved": "not resolved"}
HEAD = """# Public feature tables

Ten feature tables with outcomes that others published, each through the same pipeline: input selection (`selector: tree`, at most 6
inputs) and the ANN (recipe modern) on the selected inputs, beside references on all features and on the volume. `make tabular` makes
this page: it needs the shared data (`RADPIPE_DATA`), prepares the tables (`tools/tabular.py`), runs `workflows/tabular/*.yaml` and writes
the numbers below from the runs. All settings are radpipe's defaults, but for 5 forests a selection in place of 10; none was changed after
seeing this page. They are no clean test for the six radMLBench tables all the same: two defaults of selection (`shadow_quantile`, and the idea
of few inputs) were once compared on draws of 27 patients from them.

Figures are means over outer folds of patients the fit had not seen, with the 95 % interval of the corrected resampled t. AUC; of the
table with times Harrell's C. The verdict is that of the pair named in the workflow beforehand, with a margin of 0.05: *not resolved* says that
these patients cannot tell, not that there is no difference. Everybody told the prevalence (the reference that is always there) has 0.5.
"""
HOSNY = """## Beside a published CNN

The tables HarvardRT, Moffitt and MUMC come with the output of the 3D CNN of Hosny 2018 (doi:10.1371/journal.pmed.1002711) for the same
patients (`logit_1`, the softmax output of class "alive at 2 years"; the model kind `given` reads it). There are no published splits of
patients within these cohorts, because each had one part to play as a whole. The authors' analysis script (github.com/modelhub-ai/deep-prognosis,
`R_files/Main.R` and `Function_models.R`, commit 8a3d510) names the parts: radiotherapy `train = "harvard-rt"`, `select = "radbound"`,
`test = "maastro"`; surgery `train = "moffit"`, `select = "mumc"`, `test = "m-spore"`. It fits the authors' random forests on `train` (inputs chosen
on `select`) and judges them and the CNN on `test` alone. That the CNN was trained and tuned by the same parts is what we infer from that; the
article's own words on it could not be opened from here, and should be read before this is quoted. So **all three are
labelled in-sample**: HarvardRT and Moffitt as training cohorts (the second by transfer), MUMC as the tuning cohort. The CNN's figures
on them are no estimate for new patients; the feature arm's are out of sample. Its test cohorts (Maastro, M-SPORE) are not among the shared tables.

The CNN's scores are fixed, so both are judged on the same test folds, and two tests are shown: the corrected resampled t on the folds'
AUC (it carries the verdict; the CNN's part of its variance is that of the test patients alone), and DeLong on each patient's scores averaged
over repeats, conditional on these scores.
"""
TRAPS = """## What the tables hold that is no measurement

* HarvardRT: patients 151 and 241 have hardly a value and are left out, as in the authors' script.
* Hosny's `general_info_*` columns are settings in words and are left out; `exponential_glcm_Correlation` and `exponential_ngtdm_Contrast` are
  almost empty, and input selection drops them (`missing`).
* MUMC: 25 rows have no id and are named by their line. No two rows are alike.
* Song2020: N26 and N27 have the same features to the last digit; they count as one patient, so that no split parts them.
* The radMLBench tables are standardised over all patients. That is done without outcomes and the same for all models, but it means that
  a volume has no logarithm there: it enters as it is, as a clinical column. Ramella2018 names no volume.
"""
SEEN = {"HarvardRT": "training cohort", "Moffitt": "training cohort (transfer to surgery)", "MUMC": "tuning cohort"}


def write(page: Path, runs: Path, names: Sequence[str]) -> None:
    """The page, from every run that is there; sets without one are named."""
    found = {name: runs / name / "run" for name in names if (runs / name / "run" / "comparison.parquet").is_file()}
    lines = [HEAD, *_overall(found)]
    missing = [name for name in names if name not in found]
    if missing:
        lines += ["", f"Not run for this page: {', '.join(missing)}. `make tabular` runs them all, 10 x 5."]
    lines += ["", HOSNY, *_beside(found), "", "## Selection", "", *_selection(found), "", TRAPS.rstrip()]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{page}: {len(found)} of {len(names)} sets")


def _overall(found: dict[str, Path]) -> list[str]:
    shown = [model for model in MODELS if model != "cnn"]
    lines = ["| set | patients (outcome 1) | columns | splits | " + " | ".join(shown) + " | the pair named beforehand |"]
    lines.append("|" + "---|" * (len(shown) + 5))
    for name, run in found.items():
        cohort, metrics = _read(run, "cohort"), _leading(run)
        settings = yaml.safe_load((run / "config.yaml").read_text())
        columns = len(_read(run, "feature_dictionary"))
        splits = settings["splits"]
        kind = settings["cohort"]["outcome_kind"]
        cells = [_figure(metrics.get(model)) for model in shown]
        events = f"{int((cohort['outcome'] == 1).sum())}{' deaths' if kind == 'time_to_event' else ''}"
        patients = cohort["patient_id"].nunique()
        lines.append(
            f"| {name} | {patients} ({events}) | {columns:,} | {splits['repeats']} x {splits['folds']} | " + " | ".join(cells)
            + f" | {_verdict(run)} |"
        )  # fmt: skip
    return lines


def _beside(found: dict[str, Path]) -> list[str]:
    lines = [
        "| set | the CNN | AUC of the CNN, in-sample | AUC of the ANN, out of sample | ANN minus CNN, corrected t | DeLong, conditional |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, seen in SEEN.items():
        if name not in found:
            continue
        metrics, pairs = _leading(found[name]), _read(found[name], "comparison")
        delong = pairs[(pairs["test"] == "delong") & _is_pair(pairs, "ann", "cnn")]
        conditional = _effect(delong.iloc[0]) if len(delong) else "not asked"
        lines.append(
            f"| {name} | {seen} | {_figure(metrics.get('cnn'))} | {_figure(metrics.get('ann'))} | {_verdict(found[name])} | {conditional} |"
        )
    return lines if len(lines) > 2 else ["Not run for this page."]


def _selection(found: dict[str, Path]) -> list[str]:
    lines = [
        "Stability is Nogueira's, over all training parts (0: chance, 1: always the same); the interval is widened because they share "
        "patients. The last column counts, of the features that at least a quarter of the folds kept, those with |Spearman| of 0.7 or more "
        "with the volume, where the table tells it in mm3 or ml.",
        "",
        "| set | kept a fold | kept at least once | stability | names for the volume |",
        "|---|---|---|---|---|",
    ]
    for name, run in found.items():
        fits, chosen = _read(run, "selection_fits"), _read(run, "selection")
        stability, volume = _read(run, "selection_stability"), _read(run, "selection_volume")
        often = volume[volume["kept"] >= len(fits) / 4] if len(volume) else volume
        alike = f"{int((often['rho_volume'].abs() >= 0.7).sum())} of {len(often)}" if len(volume) else "volume not told"
        row = stability.iloc[0]
        lines.append(
            f"| {name} | {fits['n_kept'].min()} to {fits['n_kept'].max()} | {chosen[chosen['kept']]['feature'].nunique()} | "
            f"{row['value']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f}) | {alike} |"
        )
    return lines


def _read(run: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(run / f"{name}.parquet")


def _leading(run: Path) -> dict[str, pd.Series]:
    """model -> its row of the metric that ranks patients, over all folds."""
    metrics = _read(run, "metrics")
    whole = metrics[(metrics["repeat"] == -1) & (metrics["fold"] == -1) & (metrics["role"] == "test")]
    whole = whole[whole["metric"].isin(LEADING)]
    return {str(row["model"]): row for _, row in whole.iterrows()}


def _figure(row: pd.Series | None) -> str:
    if row is None or pd.isna(row["value"]):
        return ""
    return f"{row['value']:.2f}" + ("" if pd.isna(row["ci_low"]) else f" ({row['ci_low']:.2f} to {row['ci_high']:.2f})")


def _is_pair(pairs: pd.DataFrame, a: str, b: str) -> pd.Series:
    return ((pairs["model_a"] == a) & (pairs["model_b"] == b)) | ((pairs["model_a"] == b) & (pairs["model_b"] == a))


def _effect(row: pd.Series) -> str:
    return f"{row['effect']:+.2f} ({row['ci_low']:+.2f} to {row['ci_high']:+.2f}), p {row['p_value']:.2g}"


def _verdict(run: Path) -> str:
    pairs = _read(run, "comparison")
    primary = pairs[pairs["primary"]]
    if primary.empty:
        return "none made"
    row = primary.iloc[0]
    return f"{row['model_a']} minus {row['model_b']}: {_effect(row)}: {VERDICTS[str(row['verdict'])]}"
