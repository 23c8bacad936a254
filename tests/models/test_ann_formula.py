"""The closed formula against the network: executed as Python, compiled as C, and reckoned cell by cell."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from openpyxl import load_workbook
from openpyxl.formula import Tokenizer

from radpipe.cli.main import cli
from radpipe.errors import RadpipeError
from radpipe.io.models import save_model
from radpipe.io.workbook import write_workbook
from radpipe.models.ann.formula import formula_of, to_expression, to_sheets
from radpipe.models.ann.model import FittedAnn, fit
from radpipe.models.config import AnnParams, CalibrationSettings
from radpipe.models.model import Examples

STAGES = ["T1", 'T2 "late"', "=T3", "t1"]


def cases(kind: str, n: int, seed: int, start: int = 0, classes: int = 2) -> Examples:
    """Numbers with gaps, and text with values that only differ in case or look like formulas."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    signal = x[:, 0] - x[:, 1] + rng.normal(size=n)
    ids = tuple(f"c{start + k:03}" for k in range(n))
    table = pd.DataFrame(x * [1.0, 1e-6, 1e5] + [0, 0, 3e6], index=ids, columns=["a", "vol*/ume\nml", "c"])
    table.iloc[::7, 0] = np.nan
    table["stage"] = pd.Series(rng.choice(STAGES, n), index=ids).where(rng.random(n) < 0.9)
    if kind == "number":
        return Examples(ids, ids, np.zeros(n, int), table, kind="number", value=40 + 7 * signal)
    if kind != "classes":
        code = rng.choice([0, 1, 2] if kind == "competing" else [0, 1], n)
        time = np.ceil(5 * rng.exponential(np.exp(-signal)))
        return Examples(ids, ids, code, table, kind="time_to_event", time=time, horizon=6.0)
    return Examples(ids, ids, np.searchsorted([0.0] if classes == 2 else [-0.7, 0.7], signal), table, n_classes=classes)


SETTINGS = {
    "two classes": ("classes", 2, AnnParams(members=3)),
    "three classes": ("classes", 3, AnnParams(members=2, activation="logistic")),
    "not recalibrated": (
        "classes",
        2,
        AnnParams(members=1, activation="relu", calibration=CalibrationSettings(recalibrate=False)),
    ),
    "opennn": ("classes", 2, AnnParams(members=2, recipe="opennn", scaling="minimum_maximum", hidden=(3, 2))),
    "opennn, three classes": ("classes", 3, AnnParams(members=2, recipe="opennn", activation="elu")),
    "number": ("number", 2, AnnParams(members=2, bounding="training", scaling="standard_deviation")),
    "opennn, number": ("number", 2, AnnParams(members=2, recipe="opennn", hidden=())),
    "times": ("times", 2, AnnParams(members=2, scaling="none", hidden=())),
    "competing times": ("competing", 2, AnnParams(members=2)),
}


@pytest.fixture(scope="module")
def fitted() -> dict[str, FittedAnn]:
    return {
        name: fit(cases(kind, 50, 0, classes=classes), cases(kind, 20, 1, 100, classes), params, seed=3)
        for name, (kind, classes, params) in SETTINGS.items()
    }


def unseen(name: str, n: int = 12) -> Examples:
    kind, classes, _ = SETTINGS[name]
    there = cases(kind, n, 2, 200, classes)
    # Values nobody was fitted on: far away, infinite, and a text that was never seen.
    there.table.iloc[1, 0], there.table.iloc[2, 2], there.table.iloc[3, 3] = 40.0, np.inf, "T9"
    return there


def expected(model: FittedAnn, examples: Examples) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    if model.head.kind != "number":
        found |= {f"p_{k}": column for k, column in enumerate(model.predict_proba(examples).T)}
    if model.head.kind != "classes":
        found["score"] = model.predict_score(examples)
    return found


@pytest.mark.parametrize("name", SETTINGS)
def test_python(name, fitted):
    examples = unseen(name)
    space: dict = {}
    exec(compile(to_expression(fitted[name], "python"), "formula", "exec"), space)
    got = pd.DataFrame([space["predict"](row) for row in examples.table.to_dict("records")])
    wanted = expected(fitted[name], examples)
    assert list(got) == list(wanted)
    for column, values in wanted.items():
        np.testing.assert_allclose(got[column], values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["two classes", "opennn, three classes", "competing times"])
def test_c(name, fitted, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    source = tmp_path / "formula.c"
    source.write_text(to_expression(fitted[name], "c"))
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-O1", source, "-o", tmp_path / "formula.so", "-lm"], check=True
    )
    predict = ctypes.CDLL(str(tmp_path / "formula.so")).predict
    examples, formula = unseen(name), formula_of(fitted[name])
    wanted = expected(fitted[name], examples)
    for place, row in enumerate(examples.table.to_dict("records")):
        numbers = (ctypes.c_double * len(formula.numbers))(*(row[column] for column in formula.numbers))
        given = [None if pd.isna(row[column]) else str(row[column]).encode() for column in formula.texts]
        results = (ctypes.c_double * len(wanted))()
        predict(numbers, (ctypes.c_char_p * len(given))(*given), results)
        np.testing.assert_allclose(list(results), [column[place] for column in wanted.values()], rtol=1e-9, atol=1e-12)


class Sheet:
    """Reckons the cells of a workbook, as far as the formulas here go; written against Excel's description, not against the writer."""

    def __init__(self, book):
        self.book, self.known = book, {}

    def cell(self, sheet: str, where: str):
        where = where.replace("$", "")
        if (sheet, where) not in self.known:
            value = self.book[sheet][where].value
            if self.book[sheet][where].data_type == "f":
                value = Reckoner(self, sheet, value).whole()
            self.known[sheet, where] = value
        return self.known[sheet, where]

    def range(self, sheet: str, text: str) -> list:
        if "!" in text:
            sheet, _, text = text.partition("!")
        if ":" not in text:
            return [self.cell(sheet, text)]
        return [self.cell(sheet, one.coordinate) for row in self.book[sheet][text.replace("$", "")] for one in row]


class Reckoner:
    """One formula, by recursive descent over openpyxl's tokens. Precedence in Excel: sign, then * and /, then + and -, then comparison."""

    def __init__(self, sheets: Sheet, sheet: str, formula: str):
        self.sheets, self.sheet = sheets, sheet
        self.tokens = [token for token in Tokenizer(formula).items if token.type != "WHITE-SPACE"]

    def whole(self):
        value = self.comparison()
        assert not self.tokens, "something is left over"
        return value[0] if isinstance(value, list) else value

    def next_is(self, *texts: str) -> bool:
        return bool(self.tokens) and self.tokens[0].value in texts

    def one(self, value) -> float:
        value = value[0] if isinstance(value, list) else value
        return 0.0 if value is None else value

    def comparison(self):
        left = self.sum()
        while self.next_is(">"):
            self.tokens.pop(0)
            left = self.one(left) > self.one(self.sum())
        return left

    def sum(self):
        left = self.product()
        while self.tokens and self.tokens[0].type == "OPERATOR-INFIX" and self.next_is("+", "-"):
            sign = self.tokens.pop(0).value
            right = self.one(self.product())
            left = self.one(left) + right if sign == "+" else self.one(left) - right
        return left

    def product(self):
        left = self.factor()
        while self.next_is("*", "/"):
            sign = self.tokens.pop(0).value
            right = self.one(self.factor())
            left = self.one(left) * right if sign == "*" else self.one(left) / right
        return left

    def factor(self):
        token = self.tokens.pop(0)
        if token.type == "OPERATOR-PREFIX":
            value = self.one(self.factor())
            return -value if token.value == "-" else value
        if token.type == "PAREN":
            value = self.comparison()
            self.tokens.pop(0)
            return value
        if token.type == "FUNC":
            return self.function(token.value.rstrip("(").upper())
        assert token.type == "OPERAND", token.value
        return self.sheets.range(self.sheet, token.value) if token.subtype == "RANGE" else float(token.value)

    def function(self, name: str):
        arguments = []
        while not (self.tokens[0].type == "FUNC" and self.tokens[0].subtype == "CLOSE"):
            arguments.append(self.comparison())
            if self.tokens[0].type == "SEP":
                self.tokens.pop(0)
        self.tokens.pop(0)
        flat = [value for argument in arguments for value in (argument if isinstance(argument, list) else [argument])]
        if name == "IF":
            return arguments[1] if self.one(arguments[0]) else arguments[2]
        if name == "ISNUMBER":
            return isinstance(flat[0], int | float)
        if name == "EXACT":
            return ("" if flat[0] is None else str(flat[0])) == ("" if flat[1] is None else str(flat[1]))
        if name == "SUMPRODUCT":
            assert len(arguments[0]) == len(arguments[1])
            return math.fsum(self.one([a]) * self.one([b]) for a, b in zip(*arguments, strict=True))
        plain = {"EXP": math.exp, "TANH": math.tanh}
        if name in plain:
            return plain[name](self.one(arguments[0]))
        if name == "LN":
            # An error value spreads to what uses it; a branch of IF that is not taken may have one.
            return math.log(self.one(arguments[0])) if self.one(arguments[0]) > 0 else math.nan
        of_many = {"MAX": max, "MIN": min, "SUM": math.fsum, "AVERAGE": lambda values: math.fsum(values) / len(values)}
        return of_many[name]([value for value in flat if value is not None])


def reckoned(path, row: dict) -> dict[str, float]:
    book = load_workbook(path)
    patient = book["patient"]
    for place in range(1, patient.max_row + 1):
        name = patient.cell(place, 1).value
        value = row.get(name)
        if name in row and not (isinstance(value, float) and not math.isfinite(value)) and value is not None:
            patient.cell(place, 2).value = value
            if isinstance(value, str):
                patient.cell(place, 2).data_type = "s"
    sheet = Sheet(book)
    results = {}
    for place in range(2, patient.max_row + 1):
        if patient.cell(place, 2).data_type != "f":
            break
        results[patient.cell(place, 1).value] = sheet.cell("patient", f"B{place}")
    return results


@pytest.mark.parametrize("name", SETTINGS)
def test_excel(name, fitted, tmp_path):
    examples = unseen(name, 5)
    write_workbook(tmp_path / "formula.xlsx", to_sheets(fitted[name]))
    wanted = expected(fitted[name], examples)
    for place, row in enumerate(examples.table.to_dict("records")):
        got = reckoned(tmp_path / "formula.xlsx", row)
        assert list(got) == list(wanted)
        np.testing.assert_allclose(list(got.values()), [column[place] for column in wanted.values()], rtol=1e-9, atol=1e-12)


def test_no_cell_is_longer_than_excel_allows(fitted):
    """8,192 characters; constants stand in cells, where they keep 17 digits, and not in formulas, where Excel keeps 15."""
    for model in fitted.values():
        texts = [cell.value for cells in to_sheets(model).values() for cell in cells.values() if cell.formula]
        assert max(map(len, texts)) < 8192
        assert not any(
            token.value.count(".") for text in texts for token in Tokenizer(f"={text}").items if token.subtype == "NUMBER"
        )


def test_latex_names_every_step(fitted):
    text = to_expression(fitted["two classes"], "latex")
    assert text.count("&=") == len(formula_of(fitted["two classes"]).steps) + 2
    assert text.count("{") == text.count("}") and r"\tanh" in text and r"p\_1" in text


def test_logarithms_of_volumes_are_in_the_formula(tmp_path):
    rng = np.random.default_rng(0)
    ids = tuple(f"c{k:02}" for k in range(40))
    table = pd.DataFrame({"volume_ml": rng.lognormal(size=40)}, index=ids)
    everyone = Examples(ids, ids, (table["volume_ml"] > 1).astype(int).to_numpy(), table)
    model = fit(everyone.take(ids[:28]), everyone.take(ids[28:]), AnnParams(inputs="volume", members=1), seed=0)
    space: dict = {}
    exec(compile(to_expression(model, "python"), "formula", "exec"), space)
    p = model.predict_proba(everyone)[:, 1]
    assert space["predict"]({"volume_ml": table.iloc[5, 0]})["p_1"] == pytest.approx(p[5], rel=1e-9)
    write_workbook(tmp_path / "formula.xlsx", to_sheets(model))
    assert reckoned(tmp_path / "formula.xlsx", {"volume_ml": table.iloc[5, 0]})["p_1"] == pytest.approx(p[5], rel=1e-9)


def test_the_command(fitted, tmp_path):
    arrays, info = fitted["two classes"].state()
    folder = tmp_path / "run" / "models" / "net" / "repeat0_fold1"
    folder.mkdir(parents=True)
    save_model(folder, arrays, {"kind": "ann", **info})

    def call(*arguments):
        return CliRunner().invoke(cli, ["export", *map(str, arguments)])

    said = call(tmp_path / "run", "--model", "net", "--fold", 0, 1, "--out", tmp_path / "net.py")
    assert said.exit_code == 0, said.output
    assert (tmp_path / "net.py").read_text() == to_expression(fitted["two classes"], "python") and "to p_0, p_1" in said.output
    assert call(folder, "--format", "excel", "--out", tmp_path / "net.xlsx").exit_code == 0
    assert set(reckoned(tmp_path / "net.xlsx", {})) == {"p_0", "p_1"}
    wrong = {
        ("--out", tmp_path / "a.py"): "which model is meant",
        ("--model", "other", "--out", tmp_path / "a.py"): "Give --model one of: net",
        ("--model", "net", "--out", tmp_path / "a.py"): "has not been refitted",
        ("--model", "net", "--fold", 3, 1, "--out", tmp_path / "a.py"): "There are: repeat0_fold1",
        ("--model", "net", "--format", "excel", "--out", tmp_path / "a.py"): "does not hold excel",
    }
    for arguments, words in wrong.items():
        error = call(tmp_path / "run", *arguments).exception
        assert isinstance(error, RadpipeError) and words in str(error)
    (tmp_path / "empty").mkdir()
    assert "neither a model's folder" in str(call(tmp_path / "empty", "--out", tmp_path / "a.py").exception)
    assert not (tmp_path / "a.py").exists()
