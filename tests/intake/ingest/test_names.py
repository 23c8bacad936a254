"""Names of files and of regions: what may come in, and what must never come out."""

from __future__ import annotations

import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from radpipe.cohort.build import _bad_id
from radpipe.errors import ConfigError
from radpipe.intake.region_names import (
    NamedVolume,
    RegionMap,
    census,
    census_text,
    parse_region_map,
    region_map_file,
    suggestions,
)
from radpipe.intake.safe_names import LONGEST, distinct_names, safe_name


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("P1", "CT", "", "GTV"), "P1_CT_GTV"),
        (("P1", "CT", "3", "GTV Mass (T1)"), "P1_CT_3_GTV_Mass_T1"),
        (("../../etc/passwd", "CT", "", "..\\x"), "etc_passwd_CT_x"),
        (("/root", "CT", "", "a/b\0c\nd"), "root_CT_a_b_c_d"),
        (("CON", "CT", "", "x"), "CON_CT_x"),
        (("nul.a", "CT", "", "x"), "_nul_a_CT_x"),
        (("Jürg", "MR", "", "Läsion 病变"), "Jürg_MR_Läsion_病变"),
        ((" . ", "MR", "", "..."), "none_MR_none"),
        (("=cmd|' /C calc'!A0", "CT", "", "-1"), "cmd_C_calc_A0_CT_-1"),
    ],
)
def test_names_are_safe(parts: tuple[str, ...], name: str) -> None:
    assert safe_name(parts) == name


@given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_any_header_gives_a_name_that_stays_in_its_folder(parts: list[str]) -> None:
    name = safe_name(["P", *parts])
    assert not _bad_id(name)
    assert len(name.encode()) <= LONGEST
    assert not set(name) & set('/\\:*?"<>|') and ".." not in name
    assert name.strip(" .") == name


@given(st.lists(st.text(min_size=1, max_size=150), min_size=2, max_size=6, unique=True))
def test_no_two_regions_share_a_file_and_none_depends_on_its_place(names: list[str]) -> None:
    def named(order: list[str]) -> dict[str, str]:
        return distinct_names({name: ("P", "CT", "", name) for name in order}, {name: name for name in order})

    found = named(names)
    assert len({unicodedata.normalize("NFC", name).casefold() for name in found.values()}) == len(names)
    assert all(len(name.encode()) <= LONGEST and not _bad_id(name) for name in found.values())
    assert named(names[::-1]) == found


def test_upper_and_lower_case_are_told_apart_by_a_digest() -> None:
    found = distinct_names({1: ("P", "gtv"), 2: ("P", "GTV"), 3: ("P", "other")}, {1: "a", 2: "b", 3: "c"})
    assert found[3] == "P_other"
    assert found[1].startswith("P_gtv-") and found[2].startswith("P_GTV-") and found[1].casefold() != found[2].casefold()


# the census


REGIONS = [
    NamedVolume("GTVp", "P1", "CT", 10.0), NamedVolume("GTVp", "P2", "CT", 30.0), NamedVolume("GTVp", "P2", "PET", 20.0),
    NamedVolume("GTV_T", "P3", "CT", 5.0), NamedVolume("GTV70", "P4", "CT", None), NamedVolume("GTVn", "P1", "CT", 2.0),
    NamedVolume("Parotid_L", "P1", "CT", 25.0), NamedVolume("Parotid_R", "P1", "CT", 26.0), NamedVolume("parotid L", "P2", "CT", 24.0),
    NamedVolume("Body", "P1", "CT", 5000.0),
]  # fmt: skip


def test_the_census_counts_patients_and_volumes() -> None:
    rows = {row["name"]: row for row in census(REGIONS)}
    gtv = rows["GTVp"]
    assert (gtv["patients"], gtv["regions"], gtv["modalities"]) == (2, 3, "CT PET")
    assert (gtv["volume_ml_median"], gtv["volume_ml_min"], gtv["volume_ml_max"]) == (20.0, 10.0, 30.0)
    assert rows["GTV70"]["empty"] == 1 and rows["GTV70"]["volume_ml_median"] is None
    assert next(iter(rows)) == "GTVp"
    lines = census_text(list(rows.values())).splitlines()
    assert lines[1].split() == ["GTVp", "2", "3", "20", "(10", "to", "30)"]


def test_suggestions_keep_sides_targets_and_nodes_apart() -> None:
    assert suggestions(region.name for region in REGIONS) == [["GTV70", "GTV_T", "GTVp"], ["parotid L", "Parotid_L"]]


def test_the_alias_file_decides_nothing_by_itself_and_everything_once_uncommented() -> None:
    text = region_map_file(census(REGIONS))
    assert yaml.safe_load(text) is None
    with pytest.raises(ConfigError, match="says nothing"):
        parse_region_map({})
    edited = "\n".join(line[2:] if line.startswith(('# "', "#   -")) else line for line in text.splitlines())
    found = parse_region_map(yaml.safe_load(edited))
    assert all(found.canonical(region.name) for region in REGIONS)
    assert found.canonical("GTV70") == found.canonical("GTV_T") == found.canonical("gtvp") == "GTVp"
    assert found.canonical("Parotid_R") != found.canonical("Parotid_L") == found.canonical("PAROTID L")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5, unique_by=lambda text: text.strip().casefold()))
def test_whatever_a_region_is_called_its_alias_file_reads_back(names: list[str]) -> None:
    rows = census([NamedVolume(name, "P1", "CT", 1.0) for name in names])
    text = region_map_file(rows)
    assert yaml.safe_load(text) is None
    listed = [line[6:] for line in text.splitlines() if line.startswith("#   - ")]
    assert sorted(yaml.safe_load(line) for line in listed) == sorted(names)


def test_a_written_name_goes_before_a_pattern() -> None:
    found = parse_region_map({"primary": ["GTV*"], "node": ["GTVn", "LN ?"]})
    assert [found.canonical(name) for name in ("GTVp", "gtvn ", "ln 3", "LN", "primary", "Heart")] == [
        "primary", "node", "node", None, "primary", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": ["x"], "b": ["X"]}, "stands under 'a' and 'b'"),
        ({"a": {"x": 1}}, "no list of names"),
        ({"a": [["x"]]}, "no list of names"),
        ({"": ["x"]}, "no name"),
        ({"a": ["b"], "b": ["c"]}, "stands under"),
    ],
)
def test_a_map_that_says_two_things_is_refused(content: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_region_map(content)


def test_a_name_that_fits_two_patterns_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'GTVn1' fits patterns of 'a' and 'b'"):
        RegionMap({"a": ("GTV*",), "b": ("*1",)}).canonical("GTVn1")
