"""Spatial registrations: matrices both ways, chains, and what cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radpipe.errors import FileProblem, GeometryError
from radpipe.io.dicom.registration import Matrix, Registration, link, read_registration

REG = "1.2.840.10008.5.1.4.1.1.66.1"
SHIFT = np.array([[1.0, 0, 0, 10], [0, 1, 0, -5], [0, 0, 1, 2], [0, 0, 0, 1]])
TURN = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.fixture
def reg(tmp_path: Path, dicom):
    def make(items, *, to: str = "FIXED", name: str = "reg.dcm", sop: str = REG) -> Path:
        made = dicom.dataset(sop, "REG", FrameOfReferenceUID=to)
        made.RegistrationSequence = [
            dicom.item(
                FrameOfReferenceUID=source,
                MatrixRegistrationSequence=[
                    dicom.item(
                        MatrixSequence=[
                            dicom.item(
                                FrameOfReferenceTransformationMatrixType="RIGID",
                                FrameOfReferenceTransformationMatrix=[float(v) for v in np.ravel(matrix)],
                            )
                            for matrix in matrices
                        ]
                    )
                ],
            )
            for source, matrices in items
        ]
        path = tmp_path / name
        made.save_as(path, enforce_file_format=True)
        return path

    return make


def test_a_matrix_both_ways(reg) -> None:
    """A point at (1, 2, 3) of the moving frame lies at (11, -3, 5) of the fixed one."""
    found = read_registration(reg([("FIXED", [np.eye(4)]), ("MOVING", [SHIFT])]))
    assert found.frame_of_reference_uid == "FIXED"
    there = link([found], "MOVING", "FIXED")
    np.testing.assert_allclose(there @ [1, 2, 3, 1], [11, -3, 5, 1])
    np.testing.assert_allclose(link([found], "FIXED", "MOVING") @ [11, -3, 5, 1], [1, 2, 3, 1])
    np.testing.assert_array_equal(link([], "A", "A"), np.eye(4))
    assert link([found], "MOVING", "OTHER") is None


def test_several_matrices_of_one_item_multiply_in_their_order(reg) -> None:
    """M1 M2 x: the second item's matrix acts first (PS3.3 C.20.2.1.1)."""
    found = read_registration(reg([("MOVING", [SHIFT, TURN])]))
    np.testing.assert_allclose(link([found], "MOVING", "FIXED") @ [1, 0, 0, 1], [10, -4, 2, 1])


def test_a_chain_over_two_files(reg) -> None:
    """PET -> CT1 is stored, and CT2 -> CT1: PET to CT2 goes through CT1, once forwards and once back."""
    first = read_registration(reg([("PET", [TURN])], to="CT1", name="a.dcm"))
    second = read_registration(reg([("CT2", [SHIFT])], to="CT1", name="b.dcm"))
    chain = link([first, second], "PET", "CT2")
    np.testing.assert_allclose(chain, np.linalg.inv(SHIFT) @ TURN)
    np.testing.assert_allclose(chain @ [1, 0, 0, 1], [-10, 6, -2, 1])
    np.testing.assert_allclose(chain @ link([second, first], "CT2", "PET"), np.eye(4), atol=1e-12)


def test_two_registrations_that_disagree() -> None:
    one = Registration(Path("a.dcm"), "F", (Matrix("M", "F", tuple(SHIFT.ravel())),))
    same = Registration(Path("b.dcm"), "F", (Matrix("M", "F", tuple((SHIFT + 1e-9).ravel())),))
    other = Registration(Path("c.dcm"), "F", (Matrix("M", "F", tuple(TURN.ravel())),))
    assert link([one, same], "M", "F") is not None
    with pytest.raises(GeometryError, match=r"disagree, by up to \d"):
        link([one, other], "M", "F")


def test_what_cannot_be_used(reg, tmp_path: Path, rtstruct, dicom) -> None:
    flat = np.diag([1.0, 1, 0, 1])
    for path, words in (
        (reg([("M", [flat])], name="flat.dcm"), "matrix of item 1.*16 finite numbers that can be inverted"),
        (reg([("M", [SHIFT.ravel()[:15]])], name="short.dcm"), "matrix of item 1"),
        (reg([("M", [])], name="none.dcm"), "has no matrix"),
        (reg([], name="empty.dcm"), "no items"),
        (reg([("M", [SHIFT])], to="", name="nowhere.dcm"), "does not say to which frame"),
        (reg([("M", [SHIFT])], sop="1.2.840.10008.5.1.4.1.1.66.3", name="warp.dcm"), "deformable"),
        (rtstruct([]), "no spatial registration .its modality is RTSTRUCT"),
    ):
        with pytest.raises(FileProblem, match=words) as caught:
            read_registration(path, case_id="P1")
        assert caught.value.case_id == "P1" and caught.value.hint
    whole = reg([("M", [SHIFT])]).read_bytes()
    for end in range(140, len(whole) - 1, 37):
        (tmp_path / "cut.dcm").write_bytes(whole[:end])
        with pytest.raises(FileProblem):
            read_registration(tmp_path / "cut.dcm")
