"""The page in a real browser: no sideways scroll at 390 px, no console error, no request, every image decoded."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from radpipe.report.html import render
from radpipe.report.summary import summarise

_spec = importlib.util.spec_from_file_location("report_browser", Path(__file__).parent / "browser.py")
assert _spec and _spec.loader
browser = importlib.util.module_from_spec(_spec)
sys.modules["report_browser"] = browser  # dataclasses look their module up
_spec.loader.exec_module(browser)


@pytest.fixture(scope="module")
def chromium() -> str:
    """$CHROMIUM, else a system browser, else the test is skipped; RADPIPE_REQUIRE_BROWSER=1 forbids the skip."""
    found = browser.find_browser()
    if found is None:
        reason = "no browser: set CHROMIUM, or install chromium"
        if os.environ.get("RADPIPE_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason} (RADPIPE_REQUIRE_BROWSER=1)")
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def page(inputs, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(summarise(inputs)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_a_patient_shows_by_pointer_and_by_keyboard(inputs, page, chromium, width):
    order = [case["case_id"] for case in summarise(inputs)["patients"]["cases"]]
    found = browser.patients_at(page, width, chromium)
    assert found["rest"]["cards"] == []
    assert found["pointed"]["cards"] == [order[2]] and found["pointed"]["inside"]
    assert found["keyed"]["cards"] == [order[2]] and order[2] in found["keyed"]["focused"] and found["keyed"]["inside"]
    assert found["keyed"]["outline"] == "solid"
    assert found["printed"]["cards"] == []


def test_report_at_desktop_and_phone_width(page, chromium):
    looks = browser.look_at(page, (1280, 390), browser=chromium)
    assert [look.width for look in looks] == [1280, 390]
    for look in looks:
        assert look.problems == []
        assert look.facts["images"] == 6 + 2 * 4 + 5 and look.facts["charts"] >= 9


def test_long_names_many_cases_and_hostile_text(make_inputs, chromium, tmp_path):
    inputs = make_inputs(
        n=90, events=35, repeats=2, prefix="a_patient_with_a_very_long_identifier_$x^2$_<img src=x onerror=alert(1)>_"
    )
    page = tmp_path / "report.html"
    page.write_text(render(summarise(inputs)), encoding="utf-8")
    for look in browser.look_at(page, (390,), browser=chromium):
        assert look.problems == []


def test_the_browser_test_can_fail(chromium, tmp_path):
    """A page with every fault: each is found."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'><link rel=icon href='data:,'>"
        "<div style='width:700px'>wide</div><img alt='gone' src='data:image/png;base64,AAAA'>"
        "<img alt='' src='http://127.0.0.1:9/x.png'><a href='#nowhere'>x</a><p id=a></p><p id=a></p>"
        "<script>console.error('boom'); throw new Error('thrown')</script>"
    )
    (look,) = browser.look_at(page, (390,), browser=chromium)
    found = " ".join(look.problems)
    for fault in (
        "scrolls sideways", "image not decoded: gone", "boom", "Uncaught", "asks for http://127.0.0.1:9", "without a text",
        "twice: a", "nowhere",
    ):  # fmt: skip
        assert fault in found, fault
