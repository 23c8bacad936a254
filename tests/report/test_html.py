"""One file, whole in itself, the same bytes for the same inputs, and deaf to what is written in the tables."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser

from radpipe.report.html import render
from radpipe.report.summary import summarise


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser.seen


def test_same_inputs_same_bytes_few_and_soon(summary, page):
    started = time.process_time()
    assert render(summary) == page
    assert time.process_time() - started < 10
    assert len(page.encode()) < 5_000_000


def test_same_bytes_in_another_process(tmp_path, page, summary):
    """Nothing depends on hash order, earlier figures or a user's matplotlibrc."""
    (tmp_path / "s.json").write_text(json.dumps(summary))
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nsvg.fonttype: path\n")
    code = "import json, sys; from radpipe.report.html import render; "
    code += "sys.stdout.buffer.write(render(json.load(open('s.json'))).encode())"
    other = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
    assert other.stdout.decode() == page


def test_needs_nothing_from_elsewhere(page):
    for tag, attributes in tags(page):
        assert tag not in ("script", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "xlink:href", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value[:60])
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in page and "@font-face" not in page
    assert re.findall(r"url\((?!#)[^)]*\)", page) == []


def test_pictures_have_words_and_tables_have_headers(page):
    seen = tags(page)
    assert all(attributes.get("alt") for tag, attributes in seen if tag == "img")
    charts = [attributes for tag, attributes in seen if tag == "svg"]
    assert len(charts) >= 9 and all(a.get("role") == "img" and a.get("aria-labelledby") for a in charts)
    assert sum(tag == "table" for tag, _ in seen) == sum(tag == "thead" for tag, _ in seen)
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in seen if tag == "th")
    levels = [int(tag[1]) for tag, _ in seen if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in tags(page) if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_says_what_it_must(page):
    for words in (
        "Research software, not a medical device", "AUC: the chance that", "Not resolved", "on the same grid", "STS_999",
        "radpipe stage cohort workflows/sts_pet.yaml", "Stability <b>0.41</b>", "the outcome is missing", "CC BY 3.0",
        "doi:10.1088", "torch 2.13.0", "workflow 20261121", "segmentation.<wbr>nesting", "drawn without looking",
        "Nogueira", "Holm",
    ):  # fmt: skip
        assert words in page, words
    assert "nan" not in re.sub(r"data:[^\"]*", "", page).lower().replace("nanometre", "").split()


def test_text_from_the_tables_is_only_text(make_inputs):
    evil = "<script>alert(1)</script>$\\frac{1}{0}$&\"'"
    inputs = make_inputs(prefix=evil, n=20, events=8, repeats=2, strength=(("ann", 0.7), ("cnn", 0.5)))
    inputs = make_inputs.replace(inputs, title=evil, citations=(evil,), command=evil, licence=evil)
    page = render(summarise(inputs))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_contrast_of_the_page_colours(page):
    """WCAG AA for every text colour on every background it stands on."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    root = dict(re.findall(r"--(\w+):(#[0-9a-f]{6})", page))
    for text in ("ink", "soft", "muted", "a"):
        for ground in (root["wash"], "#ffffff", "#f3f6fb"):
            light, dark = sorted((luminance(ground), luminance(root[text])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_importing_the_summary_does_not_import_matplotlib():
    code = "import sys, radpipe.report.summary, radpipe.report.html; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_import_quickly():
    code = "import sys, radpipe.report.config; assert not {'numpy', 'pandas', 'jinja2', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
