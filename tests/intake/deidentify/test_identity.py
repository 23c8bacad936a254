"""Pseudonyms, UIDs, days, dates, words and codes: what the keyed hashes and the lists promise."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.uid import UID

from radpipe.errors import ConfigError
from radpipe.intake.deidentify import codes, dates, identity
from radpipe.intake.deidentify.identity import Secret, assign
from radpipe.intake.deidentify.words import Words

SECRET = Secret.of("correct horse battery staple")
OTHER = Secret.of("another horse battery staple")
DAYS = st.dates(date(1910, 1, 1), date(2090, 1, 1))


@pytest.mark.parametrize("text", ["", "brief", "fifteen letters", "a" * 40, "  padded to 16  "])
def test_a_secret_that_could_be_guessed_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        Secret.of(text)
    assert not text.strip() or text.strip() not in str(error.value)


def test_a_secret_does_not_show_in_a_traceback() -> None:
    assert SECRET.key.hex() not in repr(SECRET)


@given(st.text("0123456789.", min_size=3, max_size=60))
def test_uids_are_new_valid_and_the_same_for_the_same(text: str) -> None:
    assume(not identity.is_standard(text))
    made = SECRET.uid(text)
    # PS3.5 B.2: 2.25. and a UUID as a decimal number; 64 characters at most.
    assert UID(made).is_valid and re.fullmatch(r"2\.25\.\d{1,39}", made) and int(made[5:]) < 2**128
    assert made == SECRET.uid(f"{text}\0") == SECRET.uid(f" {text} ")
    assert made != OTHER.uid(text)


def test_uids_of_the_standard_stay_but_not_all_under_its_root() -> None:
    for uid in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.4.1.1", "1.2.840.10008.5.1.4.1.1.66.7"):
        assert SECRET.uid(uid) == uid
    assert SECRET.uid("1.2.840.10008.19610312.4711").startswith("2.25.")


@given(st.sets(st.text(max_size=12), max_size=30))
def test_no_two_patients_share_a_pseudonym_also_where_hashes_collide(patients: set[str]) -> None:
    usual = identity.PSEUDONYM_CHARACTERS
    try:
        identity.PSEUDONYM_CHARACTERS = 1  # 32 names: they do collide
        names = assign(patients, SECRET, {})
        later = assign({*patients, "one more", "and another"}, SECRET, names)
    finally:
        identity.PSEUDONYM_CHARACTERS = usual
    assert len(set(later.values())) == len(later)
    assert {patient: later[patient] for patient in patients} == names


def test_a_pseudonym_is_a_name_for_files_and_tells_nothing() -> None:
    name = SECRET.pseudonym("MRN 12/345")
    assert re.fullmatch(r"RP[A-Z2-7]{14}", name)
    assert name == SECRET.pseudonym("MRN 12/345") != OTHER.pseudonym("MRN 12/345")


@given(st.text(max_size=20), DAYS, DAYS)
def test_dates_keep_their_intervals_and_weekdays(patient: str, one: date, other: date) -> None:
    days = SECRET.days(patient)
    moved = [dates.shift_date(day.strftime("%Y%m%d"), days) for day in (one, other)]
    assert days % 7 == 0 and -365 * 11 < days <= -365
    back = [date(int(text[:4]), int(text[4:6]), int(text[6:])) for text in moved if text]
    assert back[1] - back[0] == other - one
    assert back[0].weekday() == one.weekday()
    assert back[0] == one + timedelta(days=days)
    assert dates.shift_moment(f"{one:%Y%m%d}235959.5+0100", days) == f"{moved[0]}235959.5"


@pytest.mark.parametrize("text", ["19610231", "1961", "12.03.1961", "Meyer", "196103121", "00000000"])
def test_what_is_no_date_goes(text: str) -> None:
    assert dates.shift_date(text, -7) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("045Y", "045Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("104Y", "090Y"), ("999M", "999M"), ("006W", "006W"), ("45", None), ("DOE", None)],
)  # fmt: skip
def test_ages_above_89_are_not_told(text: str, expected: str | None) -> None:
    assert dates.cap_age(text) == expected


@pytest.mark.parametrize(
    "text",
    ["GTVp", "GTV_T", "GTV70", "PTV 60", "Lung_L", "BrainStem", "T1w", "AXIAL", "left kidney", "", "3D", "CTV high"],
)  # fmt: skip
def test_words_of_the_field_stay(text: str) -> None:
    assert Words().allows(text)


@pytest.mark.parametrize(
    "text",
    ["Meyer", "GTV Meyer", "GTV_Dr_Stern", "12.03.1961", "GTV 19610312", "4711", "GTV 1203", "J D", "Lung\nMeyer", "Universitätsklinik",
     "GTVMeyer", "St. Mary", "0176 1234"],
)  # fmt: skip
def test_what_could_be_a_name_a_date_or_an_id_does_not(text: str) -> None:
    assert not Words().allows(text)


def test_the_users_list_allows_words_and_whole_texts() -> None:
    mine = Words.of(["# my words", "Tumorbett", "Plan 4711-B   # as it stands", ""])
    assert mine.allows("GTV tumorbett") and mine.allows("plan 4711-B")
    assert not mine.allows("Plan 4711") and not mine.allows("my")


@pytest.mark.parametrize(
    ("value", "scheme", "meaning"),
    [  # DICOM PS3.16, CID 4020 and 7050, and the older designator of the same concepts
        ("113100", "DCM", "Basic Application Confidentiality Profile"), ("10200004", "SCT", "Liver"), ("T-62000", "SRT", "Liver"),
        ("4711", "99MEYER", None), ("Meyer", "SCT", None),
    ],
)  # fmt: skip
def test_codes_bear_the_meaning_of_the_standard(value: str, scheme: str, meaning: str | None) -> None:
    assert codes.meaning(value, scheme) == meaning
