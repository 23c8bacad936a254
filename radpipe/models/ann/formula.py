"""The fitted network as a closed formula (OpenNN's ``write_expression``): Python, C, LaTeX, or the cells of a spreadsheet.

One list of steps, from the raw columns to the recalibrated prediction, is made once and printed in each language; it needs
neither radpipe nor torch to be evaluated, and gives what ``predict_proba`` and ``predict_score`` give, to 1e-9.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radpipe.errors import ConfigError
from radpipe.models.ann.model import FittedAnn
from radpipe.models.calibrate import LEAST, Calibration, ClassesCalibration, SurvivalCalibration
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.perceptron import NeuralNetwork, PerceptronLayer

LANGUAGES = ("python", "c", "latex")
# Scores are held within these before the exponential, as in models/survival.py.
LARGEST_SCORE = 50.0


@dataclass(frozen=True)
class Linear:
    """constant + sum of weights times earlier steps, which follow one another. first, count : those steps."""

    constant: float
    weights: tuple[float, ...]
    first: int


@dataclass(frozen=True)
class Apply:
    """A function of numbers, places of earlier steps, and other functions."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class At:
    """The value of an earlier step."""

    place: int


@dataclass(frozen=True)
class FromNumber:
    """A column of numbers: its value, or its logarithm; where it is missing, ``fill``."""

    column: str
    fill: float
    logarithm: bool


@dataclass(frozen=True)
class FromText:
    """1 where the column has this value, else 0."""

    column: str
    value: str


Expression = float | At | Linear | Apply | FromNumber | FromText


@dataclass(frozen=True)
class Step:
    """name : in formulas, a letter and numbers. meaning : for people."""

    name: str
    expression: Expression
    meaning: str


@dataclass(frozen=True)
class Formula:
    """numbers, texts : the columns that are looked at. results : what is predicted -> place of its step."""

    numbers: list[str]
    texts: list[str]
    steps: list[Step]
    results: dict[str, int]


def to_expression(fitted: FittedAnn, lang: str) -> str:
    """The formula as source text. lang : python, a module with ``predict(row)``; c, a function; latex, equations to be read."""
    printers: dict[str, Callable[[Formula], str]] = {"python": _python, "c": _c, "latex": _latex}
    if lang not in printers:
        raise ConfigError(f"there is no formula in {lang!r}.", hint=f"Choose one of {', '.join(LANGUAGES)}, or excel.")
    return printers[lang](formula_of(fitted))


def formula_of(fitted: FittedAnn) -> Formula:
    """Encoder, scaling, perceptrons, unscaling or probabilistic layer, mean of the networks, recalibration."""
    build = _Builder()
    encoder = fitted.encoder
    logs = encoder.logarithm
    columns = [
        build.add("x", FromNumber(name, fill, logs is True or (not isinstance(logs, bool) and name in logs)), name)
        for name, fill in encoder.fill.items()
    ]
    columns += [
        build.add("x", FromText(name, level), f"{name} is {level}") for name, levels in encoder.levels.items() for level in levels
    ]
    scaling = fitted.networks[0].scaling
    scaled = [
        build.add("s", _scaled(scaling, at, k), f"scaled {build.steps[at].meaning}") for k, at in enumerate(columns)
    ]  # fmt: skip
    said = [_network(build, number, network, scaled) for number, network in enumerate(fitted.networks, start=1)]
    mean = []
    for k, at in enumerate(said[0]):
        together = _apply("mean", *(At(own[k]) for own in said)) if len(said) > 1 else At(at)
        mean.append(build.add("r", together, "mean of the networks" + (f", class {k}" if len(said[0]) > 1 else "")))
    return Formula(list(encoder.fill), list(encoder.levels), build.steps, _results(build, fitted, mean))


class _Builder:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.counts: dict[str, int] = {}

    def add(self, prefix: str, expression: Expression, meaning: str) -> int:
        self.counts[prefix] = self.counts.get(prefix, 0) + 1
        self.steps.append(Step(f"{prefix}{self.counts[prefix]}", expression, meaning))
        return len(self.steps) - 1


def _apply(function: str, *arguments: Expression) -> Apply:
    return Apply(function, arguments)


def _scaled(scaling: ScalingLayer, at: int, k: int) -> Expression:
    if scaling.method == "none":
        return At(at)
    if scaling.method == "logarithm":
        return _apply("log", At(at))
    return _apply("divide", _apply("subtract", At(at), float(scaling.centre[k])), float(scaling.scale[k]))


def _network(build: _Builder, number: int, network: NeuralNetwork, scaled: list[int]) -> list[int]:
    """The places of what one network says."""
    before = scaled
    for depth, layer in enumerate(network.perceptrons, start=1):
        assert isinstance(layer, PerceptronLayer)
        weights, biases = layer.weight.detach().tolist(), layer.bias.detach().tolist()
        called = "output" if depth == len(network.perceptrons) else f"layer {depth}"
        combined = [
            build.add(f"n{number}_c{depth}_", Linear(bias, tuple(row), before[0]), f"network {number}, {called}: combination {k}")
            for k, (row, bias) in enumerate(zip(weights, biases, strict=True), start=1)
        ]
        before = combined
        if layer.activation != "linear":
            before = [
                build.add(
                    f"n{number}_h{depth}_", _apply(str(layer.activation), At(at)), f"network {number}, {called}: perceptron {k}"
                )
                for k, at in enumerate(combined, start=1)
            ]
    said = before

    def every(prefix: str, meaning: str, expression: Callable[[int, int], Expression]) -> list[int]:
        return [build.add(f"n{number}_{prefix}", expression(k, at), f"network {number}: {meaning}") for k, at in enumerate(said)]

    if network.unscaling is not None:
        scaling = network.unscaling.scaling
        if scaling.method not in ("mean_standard_deviation", "minimum_maximum"):
            raise ConfigError(f"there is no formula for unscaling by {scaling.method}.", hint="Please report it.")
        said = every("u", "unscaled", lambda k, at: _apply(
            "add", _apply("multiply", At(at), float(scaling.scale[k])), float(scaling.centre[k])
        ))  # fmt: skip
    kind = None if network.probabilistic is None else network.probabilistic.kind
    if kind == "logistic":
        said = every("p", "probability", lambda k, at: _apply("logistic", At(at)))
    elif kind in ("clip", "share"):
        said = every("p", "clipped", lambda k, at: _apply("max", 0.0, _apply("min", 1.0, At(at))))
        if kind == "share":
            total = build.add(f"n{number}_t", _apply("sum", *map(At, said)), f"network {number}: sum")
            equal = 1.0 / len(said)
            said = every("q", "share", lambda k, at: _apply("ratio_or", At(at), At(total), equal))
    elif kind == "softmax":
        said = _softmax(build, f"n{number}_", f"network {number}", said)
    if network.bounding is not None:
        low, high = network.bounding.lower, network.bounding.upper
        said = every("b", "bounded", lambda k, at: _apply("max", low, _apply("min", high, At(at))))
    return said


def _softmax(build: _Builder, prefix: str, whose: str, logits: list[int]) -> list[int]:
    top = build.add(f"{prefix}m", _apply("max", *map(At, logits)), f"{whose}: largest")
    odds = [build.add(f"{prefix}e", _apply("exp", _apply("subtract", At(at), At(top))), f"{whose}: odds") for at in logits]
    total = build.add(f"{prefix}t", _apply("sum", *map(At, odds)), f"{whose}: sum")
    return [build.add(f"{prefix}p", _apply("divide", At(at), At(total)), f"{whose}: probability") for at in odds]


def _results(build: _Builder, fitted: FittedAnn, mean: list[int]) -> dict[str, int]:
    calibration = fitted.calibration
    if isinstance(calibration, ClassesCalibration):
        logits = [
            build.add("z", _apply("add", constant, _apply("multiply", calibration.slope, _apply("log", _apply("max", LEAST, At(at))))),
                      f"recalibrated logit of class {k}")
            for k, (constant, at) in enumerate(zip(calibration.intercepts, mean, strict=True))
        ]  # fmt: skip
        return {f"p_{k}": at for k, at in enumerate(_softmax(build, "z_", "recalibrated", logits))}
    if isinstance(calibration, SurvivalCalibration):
        score = build.add(
            "score", _apply("subtract", _apply("multiply", calibration.slope, At(mean[0])), calibration.centre),
            "logarithm of the relative hazard",
        )  # fmt: skip
        event = _by_the_horizon(build, calibration, score)
        return {"p_0": _against(build, event), "p_1": event, "score": score}
    if not isinstance(calibration, Calibration):
        return {"score": mean[0]}
    event = mean[0]
    if (calibration.intercept, calibration.slope) != (0.0, 1.0):
        held = build.add("held", _apply("max", LEAST, _apply("min", 1.0 - LEAST, At(event))), "held away from 0 and 1")
        logit = build.add(
            "logit", _apply("log", _apply("divide", At(held), _apply("subtract", 1.0, At(held)))), "logit"
        )  # fmt: skip
        recalibrated = build.add(
            "z", _apply("add", calibration.intercept, _apply("multiply", calibration.slope, At(logit))), "recalibrated logit"
        )
        event = build.add("p", _apply("logistic", At(recalibrated)), "probability of class 1")
    return {"p_0": _against(build, event), "p_1": event}


def _against(build: _Builder, event: int) -> int:
    return build.add("against", _apply("subtract", 1.0, At(event)), "1 less that")


def _by_the_horizon(build: _Builder, calibration: SurvivalCalibration, score: int) -> int:
    """The probability of the event by the horizon: one exponential, or with competing events a sum over the times."""
    hazard = calibration.hazard
    upto = hazard.times <= calibration.horizon
    own, competing = hazard.hazard[upto].tolist(), hazard.competing[upto].tolist()
    held = _apply("max", -LARGEST_SCORE, _apply("min", LARGEST_SCORE, At(score)))
    relative = build.add("hazard", _apply("exp", held), "relative hazard")
    meaning = f"probability of the event by {calibration.horizon:g}"
    if not any(competing):
        return build.add(
            "p", _apply("subtract", 1.0, _apply("exp", _apply("multiply", -float(np.sum(own)), At(relative)))), meaning
        )
    terms, before, competing_before = [], 0.0, 0.0
    for step, other in zip(own, competing, strict=True):
        if step > 0:
            total = _apply("add", _apply("multiply", step, At(relative)), other)
            alive = _apply("exp", _apply("subtract", -competing_before, _apply("multiply", before, At(relative))))
            happens = _apply("subtract", 1.0, _apply("exp", _apply("subtract", 0.0, total)))
            share = _apply("divide", _apply("multiply", step, At(relative)), total)
            terms.append(build.add("i", _apply("multiply", alive, _apply("multiply", happens, share)), "share of one time"))
        before, competing_before = before + step, competing_before + other
    return build.add("p", _apply("sum", *map(At, terms)) if terms else 0.0, meaning)


# Python


def _python(formula: Formula) -> str:
    names = [step.name for step in formula.steps]
    lines = [
        '"""A network fitted by radpipe, as a formula. It needs nothing but Python. Research software, not a medical device."""',
        "",
        "from math import exp, isfinite, log, tanh",
        "",
        "",
        "def logistic(x):",
        "    return 1.0 / (1.0 + exp(-x)) if x >= 0 else exp(x) / (1.0 + exp(x))",
        "",
        "",
        "def number(row, name, fill, logarithm=False):",
        '    """A column of numbers; where it is missing, what is put in its place."""',
        "    value = row.get(name)",
        "    if value is None or not isfinite(value):",
        "        return fill",
        "    return log(value) if logarithm else float(value)",
        "",
        "",
        "def text(row, name, value):",
        '    """1 where the column has the value, else 0."""',
        "    given = row.get(name)",
        "    return 1.0 if given is not None and given == given and str(given) == value else 0.0",
        "",
        "",
        "def predict(row):",
        '    """row : dict of column -> value (None or NaN where missing). Returns what is predicted, by name."""',
    ]
    lines += [
        f"    {step.name} = {_python_of(step.expression, names)}{_remark(step)}" for step in formula.steps
    ]  # fmt: skip
    results = ", ".join(f"{json.dumps(name)}: {names[at]}" for name, at in formula.results.items())
    lines += [f"    return {{{results}}}", ""]
    return "\n".join(lines)


def _remark(step: Step, mark: str = "  # ") -> str:
    return mark + " ".join(step.meaning.split())


def _infix(function: str, arguments: Sequence[str]) -> str | None:
    signs = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
    if function == "sum":
        return f"({' + '.join(arguments)})"
    if function == "mean":
        return f"(({' + '.join(arguments)}) / {len(arguments)})"
    return f"({arguments[0]} {signs[function]} {arguments[1]})" if function in signs else None


def _signed(value: float) -> str:
    return repr(value) if value >= 0 else f"({value!r})"


def _linear(expression: Linear, names: Sequence[str]) -> str:
    terms = [
        f"{_signed(weight)} * {names[expression.first + k]}" for k, weight in enumerate(expression.weights)
    ]  # fmt: skip
    return " + ".join([_signed(expression.constant), *terms])


def _python_of(expression: Expression, names: Sequence[str]) -> str:
    if isinstance(expression, float):
        return _signed(expression)
    if isinstance(expression, At):
        return names[expression.place]
    if isinstance(expression, Linear):
        return _linear(expression, names)
    if isinstance(expression, FromNumber):
        return f"number(row, {expression.column!r}, {expression.fill!r}{', logarithm=True' if expression.logarithm else ''})"
    if isinstance(expression, FromText):
        return f"text(row, {expression.column!r}, {expression.value!r})"
    arguments = [_python_of(argument, names) for argument in expression.arguments]
    first = arguments[0]
    plain = {
        "relu": f"max({first}, 0.0)", "elu": f"({first} if {first} > 0 else exp({first}) - 1.0)",
        "ratio_or": "({0} / {1} if {1} > 0 else {2})".format(*arguments, "", ""),
    }  # fmt: skip
    return (
        _infix(expression.function, arguments)
        or plain.get(expression.function)
        or f"{expression.function}({', '.join(arguments)})"
    )


# C


def _c(formula: Formula) -> str:
    numbers = {name: k for k, name in enumerate(formula.numbers)}
    texts = {name: k for k, name in enumerate(formula.texts)}
    names = [step.name for step in formula.steps]

    def of(expression: Expression) -> str:
        if isinstance(expression, float):
            return _signed(expression)
        if isinstance(expression, At):
            return names[expression.place]
        if isinstance(expression, Linear):
            return _linear(expression, names)
        if isinstance(expression, FromNumber):
            given = f"numbers[{numbers[expression.column]}]"
            return f"(isfinite({given}) ? {f'log({given})' if expression.logarithm else given} : {_signed(expression.fill)})"
        if isinstance(expression, FromText):
            return f"is(texts[{texts[expression.column]}], {_c_text(expression.value)})"
        arguments = [of(argument) for argument in expression.arguments]
        if expression.function in ("max", "min"):
            nested = arguments[0]
            for argument in arguments[1:]:
                nested = f"f{expression.function}({nested}, {argument})"
            return nested
        first = arguments[0]
        plain = {
            "relu": f"fmax({first}, 0.0)", "elu": f"({first} > 0 ? {first} : expm1({first}))",
            "ratio_or": "({1} > 0 ? {0} / {1} : {2})".format(*arguments, "", ""),
        }  # fmt: skip
        return (
            _infix(expression.function, arguments)
            or plain.get(expression.function)
            or f"{expression.function}({', '.join(arguments)})"
        )

    def told(which: str, columns: list[str]) -> list[str]:
        return [f" * {which}[{k}] : {_comment(name)}" for k, name in enumerate(columns)]

    return "\n".join([
        "/* A network fitted by radpipe, as a formula. Research software, not a medical device.",
        " * A missing number is NAN, a missing text NULL.",
        *told("numbers", formula.numbers), *told("texts", formula.texts), *told("results", list(formula.results)),
        " */",
        "#include <math.h>",
        "#include <string.h>",
        "",
        "static double logistic(double x) { return x >= 0 ? 1.0 / (1.0 + exp(-x)) : exp(x) / (1.0 + exp(x)); }",
        "static double is(const char *given, const char *value) { return given && !strcmp(given, value) ? 1.0 : 0.0; }",
        "",
        "void predict(const double *numbers, const char *const *texts, double *results)",
        "{",
        "    (void)numbers; (void)texts; (void)logistic; (void)is;",
        *(f"    const double {step.name} = {of(step.expression)}; /* {_comment(step.meaning)} */" for step in formula.steps),
        *(f"    results[{k}] = {names[at]};" for k, at in enumerate(formula.results.values())),
        "}",
        "",
    ])  # fmt: skip


def _comment(text: str) -> str:
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")


def _c_text(value: str) -> str:
    # Octal escapes end after three digits, whatever follows.
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in value.encode()) + '"'


# LaTeX


def _latex(formula: Formula) -> str:
    names = [_latex_name(step.name) for step in formula.steps]

    def number(value: float) -> str:
        shown = f"{value:.6g}"
        mantissa, _, power = shown.partition("e")
        return f"{mantissa} \\cdot 10^{{{int(power)}}}" if power else shown

    def of(expression: Expression) -> str:
        if isinstance(expression, float):
            return number(expression)
        if isinstance(expression, At):
            return names[expression.place]
        if isinstance(expression, Linear):
            terms = [f"{weight:+.6g}" for weight in expression.weights]
            parts = [number(expression.constant)]
            parts += [
                f"{'-' if weight < 0 else '+'} {number(abs(weight))}\\,{names[expression.first + k]}"
                for k, weight in enumerate(expression.weights)
            ]
            return " ".join(parts if terms else parts[:1])
        if isinstance(expression, FromNumber):
            named = f"\\text{{{_latex_text(expression.column)}}}"
            return f"\\ln {named}" if expression.logarithm else named
        if isinstance(expression, FromText):
            return f"[\\text{{{_latex_text(expression.column)}}} = \\text{{{_latex_text(expression.value)}}}]"
        arguments = [of(argument) for argument in expression.arguments]
        first = arguments[0]
        shown = {
            "add": "{0} + {1}", "subtract": "{0} - \\left({1}\\right)", "multiply": "\\left({0}\\right) \\left({1}\\right)",
            "divide": "\\frac{{{0}}}{{{1}}}", "exp": "\\exp\\left({0}\\right)", "log": "\\ln\\left({0}\\right)",
            "tanh": "\\tanh\\left({0}\\right)", "logistic": "\\frac{{1}}{{1 + \\exp\\left(-{0}\\right)}}",
            "relu": "\\max\\left(0, {0}\\right)", "elu": "\\max\\left(0, {0}\\right) + \\min\\left(0, e^{{{0}}} - 1\\right)",
            "ratio_or": "\\frac{{{0}}}{{{1}}}",
        }  # fmt: skip
        if expression.function in shown:
            return shown[expression.function].format(*arguments)
        if expression.function in ("sum", "mean"):
            total = " + ".join(arguments)
            return total if expression.function == "sum" else f"\\frac{{{total}}}{{{len(arguments)}}}"
        return f"\\{expression.function}\\left({', '.join(arguments)}\\right)" if len(arguments) > 1 else first

    rows = [f"{name} &= {of(step.expression)} \\\\" for name, step in zip(names, formula.steps, strict=True)]
    results = [f"\\text{{{_latex_text(name)}}} &= {names[at]} \\\\" for name, at in formula.results.items()]
    return "\n".join(
        [
            "% Six digits, to be read; export python or excel to be evaluated.",
            "\\begin{align*}",
            *rows,
            *results,
            "\\end{align*}",
            "",
        ]
    )


def _latex_name(name: str) -> str:
    letters = name.rstrip("0123456789_")
    head, _, rest = name.partition("_")
    if rest:
        inner = rest.rstrip("0123456789_")
        digits = rest[len(inner) :].strip("_").replace("_", ",")
        letter = head.rstrip("0123456789")
        return f"{inner or letter}^{{({head[len(letter) :] or letter})}}_{{{digits}}}"
    short = letters if len(letters) == 1 else f"\\mathrm{{{letters}}}"
    return f"{short}_{{{name[len(letters) :]}}}"


def _latex_text(text: str) -> str:
    special = {"\\": "\\textbackslash{}", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)


# Spreadsheet


@dataclass(frozen=True)
class Cell:
    """value : a number, a text, or with ``formula`` what follows the = sign."""

    value: float | str
    formula: bool = False


# name of the sheet -> (row, column), both from 1 -> what stands there
Sheets = dict[str, dict[tuple[int, int], Cell]]
LARGEST_COLUMNS = 16_384


def to_sheets(fitted: FittedAnn) -> Sheets:
    """Three sheets. patient : a cell for every input, and the prediction. network : a cell for every step, constants beside it.
    weights : a column for every perceptron, its bias below. Numbers stand in cells, which keep all their digits, as formulas do not.
    """
    formula = formula_of(fitted)
    rows = {name: 3 + len(formula.results) + k for k, name in enumerate([*formula.numbers, *formula.texts])}
    sheets: Sheets = {"patient": {}, "network": {}, "weights": {}}
    network, weights = sheets["network"], sheets["weights"]
    for column, title in enumerate(("step", "value", "what it is", "constants"), start=1):
        network[1, column] = Cell(title)
    column_of_weights = 0
    for place, step in enumerate(formula.steps):
        row = place + 2
        constants: list[float | str] = []

        def constant(value: float | str, row: int = row, constants: list[float | str] = constants) -> str:
            if value in (0.0, 1.0):
                return str(int(value))
            constants.append(value)
            return f"{_letters(3 + len(constants))}{row}"

        if isinstance(step.expression, Linear):
            column_of_weights += 1
            if column_of_weights > LARGEST_COLUMNS:
                raise ConfigError(
                    "a spreadsheet has no room for so many perceptrons.", hint="Export python, or fit fewer members."
                )
            letters, count = _letters(column_of_weights), len(step.expression.weights)
            weights[1, column_of_weights] = Cell(step.name)
            for k, weight in enumerate((*step.expression.weights, step.expression.constant)):
                weights[k + 2, column_of_weights] = Cell(weight)
            first = step.expression.first + 2
            text = (
                f"SUMPRODUCT(B{first}:B{first + count - 1},weights!{letters}2:{letters}{count + 1})+weights!{letters}{count + 2}"
            )
        else:
            text = _excel_of(step.expression, rows, constant)
        network[row, 1], network[row, 2], network[row, 3] = Cell(step.name), Cell(text, formula=True), Cell(step.meaning)
        for k, value in enumerate(constants):
            network[row, 4 + k] = Cell(value)
    patient = sheets["patient"]
    patient[1, 1], patient[1, 2] = Cell("prediction"), Cell("value")
    for k, (name, at) in enumerate(formula.results.items()):
        patient[2 + k, 1], patient[2 + k, 2] = Cell(name), Cell(f"network!B{at + 2}", formula=True)
    start = 2 + len(formula.results)
    patient[start, 1], patient[start, 2] = Cell("input (empty: missing)"), Cell("value")
    for name, row in rows.items():
        patient[row, 1] = Cell(name)
    return sheets


def _letters(column: int) -> str:
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def _excel_of(expression: Expression, rows: dict[str, int], constant: Callable[[float | str], str]) -> str:
    if isinstance(expression, float):
        return constant(expression)
    if isinstance(expression, At):
        return f"B{expression.place + 2}"
    if isinstance(expression, FromNumber):
        cell = f"patient!B{rows[expression.column]}"
        value = f"LN({cell})" if expression.logarithm else cell
        return f"IF(ISNUMBER({cell}),{value},{constant(expression.fill)})"
    if isinstance(expression, FromText):
        # EXACT, because = takes "m" for "M".
        return f"IF(EXACT(patient!B{rows[expression.column]},{constant(expression.value)}),1,0)"
    assert isinstance(expression, Apply)
    arguments = [_excel_of(argument, rows, constant) for argument in expression.arguments]
    first = arguments[0]
    signs = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
    if expression.function in signs:
        return f"({arguments[0]}{signs[expression.function]}{arguments[1]})"
    plain = {
        # EXP of more than 709 is an error, not infinity.
        "logistic": f"1/(1+EXP(MIN(700,0-({first}))))", "relu": f"MAX({first},0)", "elu": f"IF({first}>0,{first},EXP({first})-1)",
        "log": f"LN({first})", "ratio_or": "IF({1}>0,{0}/{1},{2})".format(*arguments, "", ""),
    }  # fmt: skip
    if expression.function in plain:
        return plain[expression.function]
    names = {"mean": "AVERAGE", "sum": "SUM", "max": "MAX", "min": "MIN", "exp": "EXP", "tanh": "TANH"}
    return f"{names[expression.function]}({','.join(arguments)})"
