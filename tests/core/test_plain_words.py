"""What is left of other libraries' errors in messages and logs: the field's words, and never what could be somebody's."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radpipe.core.plain_words import one_line, plain, plain_output, plain_traceback
from radpipe.errors import FileProblem


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("could not convert string to float: 'Müller'", "could not convert string to float: ..."),
        ("operands could not be broadcast together with shapes (3,4) (5,)",) * 2,
        ("index 5 is out of bounds for axis 0 with size 3",) * 2,
        ("Invalid value for VR UI: '1.2.3 Hans'", "Invalid value for ..."),
        ("unable to parse SMITH^JOHN 19400203 as a date /data/Mueller/x.dcm", "unable to parse ... as a date ..."),
        ("Meier was born 3.2.1940 in Bern", "... was born ... in ..."),
        ("'mueller hans'", "..."),
        ("no patient (19400203) or [00000]", "no patient ... or ..."),
        ("", ""),
    ],
)
def test_only_plain_words_are_left(text: str, left: str) -> None:
    assert plain(text) == left


@given(
    st.text(string.ascii_uppercase + string.digits, min_size=5, max_size=20),
    st.sampled_from(["{}", "'{}'", "about {}", "is {}.", "({})", "b'{}'", "/a/{}/b", "{}^X", "name={}", "[{}, 3]"]),
)
def test_no_name_in_capitals_no_id_and_no_date_is_left(word: str, sentence: str) -> None:
    assert word not in plain(f"the value {sentence.format(word)} of it")


def test_a_traceback_has_its_frames_and_causes_and_nothing_of_the_data() -> None:
    name, where = "Hans" + " Muster", {"case_id": "Muster" + "_1", "path": "/data" + "/1.dcm"}
    try:
        try:
            float(name)
        except ValueError as error:
            raise FileProblem("it is no number.", hint="Look.", **where) from error
    except FileProblem as error:
        told = plain_traceback(error)
    assert "test_plain_words.py" in told and "in test_a_traceback_has" in told and "Traceback" in told
    assert "FileProblem: it is no number." in told and "ValueError: could not convert string to float: ..." in told
    assert "Muster_1" not in told and "/data" not in told and "Hans Muster" not in told


def test_of_the_system_its_own_words_without_the_file() -> None:
    with pytest.raises(OSError, match="Muster") as told:
        Path("/nowhere/Muster.dcm").read_bytes()
    assert one_line(told.value) == "FileNotFoundError: No such file or directory"


def test_where_python_crashed_is_kept() -> None:
    said = (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f1 (most recent call first):\n"
        '  File "/home/muster/env/lib/site-packages/numpy/core.py", line 3 in add\nPatient Muster 19400203'
    )
    assert plain_output(said).splitlines() == [
        "Fatal Python error: Segmentation fault", "", "Current thread 0x00007f1 (most recent call first):",
        '  File "numpy/core.py", line 3 in add', "...",
    ]  # fmt: skip
