"""Volumes that are not as they should be: each kind is refused with its case, its file, what is wrong and what to do.

SimpleITK reads many of these without a word; RELIABILITY.md says which.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.errors import FileProblem, RadpipeError
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import read_header, read_image, read_mask

GRID = Grid((4, 5, 6), (3.0, 1.5, 1.0), (10.0, -20.0, 30.0))
VOXELS = np.random.default_rng(0).integers(-500, 1000, GRID.shape).astype(np.int16)
# Byte offsets of the NIfTI-1 header, from its published C structure (nifti1.h).
DIM, DATATYPE, BITPIX, PIXDIM, VOX_OFFSET, SLOPE, INTER, UNITS, QCODE, SCODE, QUATERN, QOFFSET, SROW, MAGIC = (
    40, 70, 72, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280, 344,
)  # fmt: skip


def nifti(voxels: np.ndarray = VOXELS) -> bytes:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"radpipe_test_{os.getpid()}.nii"
    write_nifti(path, voxels, GRID)
    data = path.read_bytes()
    path.unlink()
    return data


def patched(offset: int, form: str, *values: float, data: bytes | None = None) -> bytes:
    changed = bytearray(data or nifti())
    struct.pack_into("<" + form, changed, offset, *values)
    return bytes(changed)


NAN, INF = float("nan"), float("inf")
FLOATS = VOXELS.astype(np.float32)


def with_value(value: float, dtype: str) -> bytes:
    voxels = VOXELS.astype(dtype)
    voxels[2, 3, 4] = value
    return nifti(voxels)


MALFORMED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "ends after 0 bytes"),
    "header cut": (lambda: nifti()[:200], "ends after 200 bytes"),
    "header only": (lambda: nifti()[:352], r"cut off: .* 240 bytes of voxels and 0 are there"),
    "voxels cut": (lambda: nifti()[:-1], r"cut off: .* 240 bytes of voxels and 239 are there"),
    "voxels too many": (lambda: nifti() + b"\0", "more follow"),
    "text": (lambda: b"patient 7, please call back\n" * 40, "not a NIfTI file"),
    "zeros": (lambda: bytes(1000), "not a NIfTI file"),
    "no mark": (lambda: patched(MAGIC, "4s", b"abc\0"), "mark 'n\\+1' is missing"),
    "header of a pair": (lambda: patched(MAGIC, "4s", b"ni1\0"), r"\.hdr/\.img pair"),
    "nifti 2": (lambda: patched(0, "i", 540), "NIfTI-2"),
    "dimensions 0": (lambda: patched(DIM, "h", 0), "0 as the number of dimensions"),
    "dimensions 9": (lambda: patched(DIM, "h", 9), "9 as the number of dimensions"),
    "size 0": (lambda: patched(DIM + 2, "h", 0), "size 0 x 5 x 4"),
    "size negative": (lambda: patched(DIM + 4, "h", -5), "size 6 x -5 x 4"),
    "two dimensions": (lambda: patched(DIM, "h", 2), "2D image"),
    "four dimensions": (lambda: patched(DIM, "5h", 4, 6, 5, 2, 2), "4D image .6 x 5 x 2 x 2."),
    "five dimensions": (lambda: patched(DIM, "6h", 5, 6, 5, 2, 1, 2), "5D image"),
    "size larger": (lambda: patched(DIM + 6, "h", 5), "cut off"),
    "size smaller": (lambda: patched(DIM + 6, "h", 3), "more follow"),
    "data type unknown": (lambda: patched(DATATYPE, "h", 77), "data type 77"),
    "data type rgb": (lambda: patched(DATATYPE, "hh", 128, 24), "RGB colours"),
    "data type complex": (lambda: patched(DATATYPE, "hh", 32, 64), "complex numbers"),
    "bits a voxel": (lambda: patched(BITPIX, "h", 32), "32 bits a voxel for the data type int16"),
    "spacing 0": (lambda: patched(PIXDIM + 4, "f", 0), "spacing is 0 x 1.5 x 3 mm"),
    "spacing negative": (lambda: patched(PIXDIM + 8, "f", -1.5), "spacing is 1 x -1.5 x 3 mm"),
    "spacing nan": (lambda: patched(PIXDIM + 12, "f", NAN), "spacing is 1 x 1.5 x nan mm"),
    "spacing infinite": (lambda: patched(PIXDIM + 4, "f", INF), "spacing is inf x 1.5 x 3 mm"),
    "offset nan": (lambda: patched(VOX_OFFSET, "f", NAN), "start at byte nan"),
    "offset in the header": (lambda: patched(VOX_OFFSET, "f", 100), "start at byte 100; not"),
    "offset fractional": (lambda: patched(VOX_OFFSET, "f", 352.5), "start at byte 352.5"),
    "offset later": (lambda: patched(VOX_OFFSET, "f", 368), "cut off"),
    "offset beyond the end": (lambda: patched(VOX_OFFSET, "f", 1e6), "ends before its voxels begin"),
    "offset a gigabyte on": (lambda: patched(VOX_OFFSET, "f", 1e9), "start at byte 1e"),
    "slope nan": (lambda: patched(SLOPE, "f", NAN), "scl_slope nan"),
    "slope infinite": (lambda: patched(SLOPE, "f", INF), "scl_slope inf"),
    "intercept nan": (lambda: patched(INTER, "f", NAN), "scl_inter nan"),
    "slope overflows": (lambda: patched(SLOPE, "f", 3e38), "NaN or infinite"),
    "metres": (lambda: patched(UNITS, "B", 1), "in metres"),
    "sform nan": (lambda: patched(SROW, "f", NAN), "sform .* not finite"),
    "sform infinite origin": (lambda: patched(SROW + 12, "f", INF), "sform .* not finite"),
    "sform against pixdim": (lambda: patched(SROW, "f", -2), "sform says the spacing is .2, 1.5, 3. mm"),
    "sform zero": (lambda: patched(SROW, "12f", *[0] * 12), "sform says the spacing is .0, 0, 0. mm"),
    "sheared": (lambda: patched(SROW, "6f", -0.8, 0.9, 0, 0, -0.6, 1.2), "right angles"),
    "qform nan": (lambda: patched(QCODE, "hh3f", 1, 0, NAN, 0, 0), "qform .* not finite"),
    "qform origin nan": (lambda: patched(QCODE, "hh6f", 1, 0, 0, 0, 0, NAN, 0, 0), "qform .* not finite"),
    "qform no rotation": (lambda: patched(QCODE, "hh3f", 1, 0, 0.9, 0.9, 0), "not a rotation"),
    "voxel nan": (lambda: with_value(NAN, "f4"), "1 of 120 voxels are NaN or infinite"),
    "voxel infinite": (lambda: with_value(-INF, "f8"), "1 of 120 voxels are NaN or infinite"),
    "declares 32 terabytes": (lambda: patched(DIM + 2, "3h", 32767, 32767, 32767), "GiB of voxels"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["nii", "nii.gz"])
@pytest.mark.parametrize("kind", MALFORMED)
def test_each_kind_is_refused_with_its_reason(tmp_path: Path, kind: str, packed: bool) -> None:
    make, words = MALFORMED[kind]
    path = tmp_path / ("x.nii.gz" if packed else "x.nii")
    path.write_bytes(gzip.compress(make()) if packed else make())
    for read in (read_image, read_mask):
        with pytest.raises(FileProblem, match=words) as caught:
            read(path, case_id="STS_007")
        error = caught.value
        assert error.case_id == "STS_007" and error.path == str(path)
        assert error.hint and error.problem.endswith(".") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda packed: packed[:-9], "cut off"),
        (lambda packed: packed[: len(packed) // 2], "cut off"),
        (lambda packed: packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:], "damaged"),  # checksum
        (lambda packed: packed[:3], "damaged or cut off"),
        (lambda packed: packed + b"rest", "damaged"),
    ],
)
def test_damaged_gzip(tmp_path: Path, damage, words: str) -> None:
    path = tmp_path / "x.nii.gz"
    path.write_bytes(damage(gzip.compress(nifti())))
    with pytest.raises(FileProblem, match=words):
        read_image(path)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.nii.gz").mkdir()
    (tmp_path / "x.jpg").write_bytes(b"x")
    (tmp_path / "x.nii").write_bytes(gzip.compress(nifti()))
    cases = {
        "none.nii.gz": "does not exist",
        "folder.nii.gz": "folder",
        "x.jpg": "does not read files named like this",
        "x.nii": "compressed although",
    }
    for name, words in cases.items():
        for read in (read_image, read_mask, read_header):
            with pytest.raises(FileProblem, match=words) as caught:
                read(tmp_path / name, case_id="c")
            assert caught.value.path == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0.nii", "\udc80.nii", "no/such/folder.nii", "x" * 300 + ".nii"])
def test_names_that_no_file_has(tmp_path: Path, name: str) -> None:
    for read in (read_image, read_mask, read_header):
        with pytest.raises(FileProblem):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["Größe 1.nii.gz", "a\nb.nii.gz", "…/日本.nrrd", "X.NII.GZ", "-rf.mha"])
def test_names_that_files_have(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    kind = {"gz": "x.nii.gz", "GZ": "x.nii.gz", "nrrd": "x.nrrd", "mha": "x.mha"}[name.rsplit(".", 1)[1]]
    path.write_bytes(whole_files()[kind])
    np.testing.assert_array_equal(read_image(path).voxels, VOXELS)


def test_permission_denied_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FileProblem, match="may not be read"):
        read_image(tmp_path / "x.nii")


NRRD = (
    b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 5 4\n"
    b"space directions: (1,0,0) (0,1.5,0) (0,0,3)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
    b"space origin: (10,-20,30)\n\n"
)
MHA = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
    b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 10 -20 30\nElementSpacing = 1 1.5 3\nDimSize = 6 5 4\n"
    b"ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
)
DATA = VOXELS.tobytes()
MHA_ZLIB = MHA.replace(b"Data = False", b"Data = True\nCompressedDataSize = %d" % len(zlib.compress(DATA)))


def test_the_two_other_formats_by_hand_are_read(tmp_path: Path) -> None:
    for name, content in (("a.nrrd", NRRD + DATA), ("a.mha", MHA + DATA)):
        (tmp_path / name).write_bytes(content)
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.voxels, VOXELS)
        assert image.grid == GRID


TEXT_FORMATS = {
    "nrrd text": ("a.nrrd", b"hello\n", "not an NRRD file"),
    "nrrd cut": ("a.nrrd", NRRD + DATA[:-1], "cut off"),
    "nrrd more": ("a.nrrd", NRRD + DATA + b"x", "more follow"),
    "nrrd header cut": ("a.nrrd", NRRD[:60], "inside its own header"),
    "nrrd nan spacing": ("a.nrrd", NRRD.replace(b"(0,1.5,0)", b"(0,nan,0)") + DATA, "not finite"),
    "nrrd zero spacing": ("a.nrrd", NRRD.replace(b"(0,1.5,0)", b"(0,0,0)") + DATA, "spacing is 1 x 0 x 3 mm"),
    "nrrd no spacing": ("a.nrrd", NRRD.replace(b"space directions", b"# none") + DATA, "no voxel spacing"),
    "nrrd sheared": ("a.nrrd", NRRD.replace(b"(0,1.5,0)", b"(0.5,1.5,0)") + DATA, "right angles"),
    "nrrd vectors": ("a.nrrd", NRRD.replace(b"(0,1.5,0)", b"(0,1.5)") + DATA, "not three vectors of three numbers"),
    "nrrd origin": ("a.nrrd", NRRD.replace(b"(10,-20,30)", b"(10,inf,30)") + DATA, "not finite"),
    "nrrd 2d": ("a.nrrd", NRRD.replace(b"dimension: 3", b"dimension: 2").replace(b"6 5 4", b"6 20") + DATA, "2D image"),
    "nrrd 4d": ("a.nrrd", NRRD.replace(b"dimension: 3", b"dimension: 4").replace(b"6 5 4", b"2 3 5 4") + DATA, "4D file"),
    "nrrd sizes": ("a.nrrd", NRRD.replace(b"6 5 4", b"6 5") + DATA, "2 sizes for 3 dimensions"),
    "nrrd size words": ("a.nrrd", NRRD.replace(b"6 5 4", b"6 5 x") + DATA, "not a whole number"),
    "nrrd type": ("a.nrrd", NRRD.replace(b"short", b"block") + DATA, "type 'block'"),
    "nrrd ascii": ("a.nrrd", NRRD.replace(b"raw", b"ascii") + DATA, "stored as 'ascii'"),
    "nrrd detached": ("a.nrrd", NRRD.replace(b"encoding: raw", b"encoding: raw\ndata file: a.raw"), "another file"),
    "nrrd skip": ("a.nrrd", NRRD.replace(b"encoding: raw", b"encoding: raw\nbyte skip: -1") + DATA, "skip"),
    "nrrd twice": ("a.nrrd", NRRD.replace(b"encoding: raw", b"encoding: raw\nsizes: 6 5 4") + DATA, "twice"),
    "nrrd endian": ("a.nrrd", NRRD.replace(b"endian: little\n", b"") + DATA, "does not give 'endian'"),
    "nrrd gzip cut": ("a.nrrd", NRRD.replace(b"raw", b"gzip") + gzip.compress(DATA)[:-4], "cut off"),
    "nrrd gzip less": ("a.nrrd", NRRD.replace(b"raw", b"gzip") + gzip.compress(DATA[:-2]), "cut off"),
    "nrrd gzip more": ("a.nrrd", NRRD.replace(b"raw", b"gzip") + gzip.compress(DATA * 2), "more follow"),
    "nrrd bomb": ("a.nrrd", NRRD.replace(b"6 5 4", b"60000 50000 40000") + DATA, "GiB of voxels"),
    "nrrd voxel nan": (
        "a.nrrd", NRRD.replace(b"short", b"float") + np.where(VOXELS > 990, np.float32(NAN), FLOATS).tobytes(), "NaN or infinite",
    ),
    "mha text": ("a.mha", b"hello\n", "not a MetaImage file"),
    "mha cut": ("a.mha", MHA + DATA[:-1], "cut off"),
    "mha more": ("a.mha", MHA + DATA + b"x", "more follow"),
    "mha header cut": ("a.mha", MHA[:60], "inside its own header"),
    "mha spacing": ("a.mha", MHA.replace(b"1 1.5 3", b"1 -1.5 3") + DATA, "spacing is 1 x -1.5 x 3 mm"),
    "mha spacing words": ("a.mha", MHA.replace(b"1 1.5 3", b"1 b 3") + DATA, "not numbers"),
    "mha no spacing": ("a.mha", MHA.replace(b"ElementSpacing", b"Comment") + DATA, "no voxel spacing"),
    "mha offset": ("a.mha", MHA.replace(b"10 -20 30", b"10 nan 30") + DATA, "'Offset' that are not finite"),
    "mha sheared": ("a.mha", MHA.replace(b"1 0 0 0 1 0 0 0 1", b"1 0 0 0.9 1 0 0 0 1") + DATA, "right angles"),
    "mha channels": ("a.mha", MHA.replace(b"NDims", b"ElementNumberOfChannels = 3\nNDims") + DATA, "3 values per voxel"),
    "mha 4d": ("a.mha", MHA.replace(b"NDims = 3", b"NDims = 4").replace(b"6 5 4", b"6 5 2 2") + DATA, "4D image"),
    "mha detached": ("a.mha", MHA.replace(b"LOCAL", b"a.raw"), "another file"),
    "mha text voxels": ("a.mha", MHA.replace(b"BinaryData = True", b"BinaryData = False") + DATA, "as text"),
    "mha type": ("a.mha", MHA.replace(b"MET_SHORT", b"MET_OTHER") + DATA, "MET_OTHER"),
    "mha zlib cut": ("a.mha", MHA_ZLIB + zlib.compress(DATA)[:-6], "cut off"),
    "mha zlib less": ("a.mha", MHA_ZLIB + zlib.compress(DATA[:-2]), "cut off|compressed voxels"),
    "mha zlib junk": ("a.mha", MHA_ZLIB + DATA, "damaged"),
    "mha zlib more": ("a.mha", MHA_ZLIB + zlib.compress(DATA) + b"x", "damaged"),
    "mha zlib length": ("a.mha", MHA_ZLIB.replace(b"Size = 2", b"Size = 1") + zlib.compress(DATA), "bytes of compressed voxels"),
    "mha zlib unsaid": ("a.mha", MHA_ZLIB.replace(b"CompressedDataSize", b"Comment") + zlib.compress(DATA), "not give 'Compr"),
    "mha zlib denied": ("a.mha", MHA_ZLIB.replace(b"CompressedData =", b"Comment =") + DATA, "not compressed"),
    "mha bomb": ("a.mha", MHA.replace(b"6 5 4", b"60000 50000 40000") + DATA, "GiB of voxels"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXT_FORMATS)
def test_each_kind_of_the_other_formats(tmp_path: Path, kind: str) -> None:
    name, content, words = TEXT_FORMATS[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileProblem, match=words) as caught:
        read_image(tmp_path / name, case_id="c")
    assert caught.value.case_id == "c" and caught.value.hint


def whole_files() -> dict[str, bytes]:
    return {
        "x.nii": nifti(),
        "x.nii.gz": gzip.compress(nifti()),
        "x.nrrd": NRRD.replace(b"raw", b"gzip") + gzip.compress(DATA),
        "y.nrrd": NRRD + DATA,
        "x.mha": MHA_ZLIB + zlib.compress(DATA),
        "y.mha": MHA + DATA,
    }


@pytest.mark.parametrize("name", whole_files())
def test_cut_at_any_byte_is_never_read(tmp_path: Path, name: str) -> None:
    content = whole_files()[name]
    path = tmp_path / name
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileProblem):
            read_image(path)


@given(st.sampled_from(sorted(whole_files())), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_bytes_give_an_image_or_a_reason(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Whatever bytes are changed, added or taken: a whole and finite volume, or a RadpipeError; nothing else."""
    content = bytearray(whole_files()[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "set", "insert", "delete"]))
        if kind == "flip":
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "set":
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del content[place]
    path = tmp_path / name
    path.write_bytes(content)
    try:
        image = read_image(path, max_bytes=1 << 20)
    except RadpipeError as error:
        assert error.path and error.problem and error.hint  # noqa: PT017
    else:
        assert np.isfinite(image.voxels).all() and min(image.grid.spacing_mm) > 0
        # A header that was changed to another sound one is beyond any reader; voxels that are not the file's bytes are not.
        assert image.voxels.size * np.dtype(read_header(path).dtype).itemsize == len(DATA)
        if image.voxels.dtype == read_header(path).dtype:  # not scaled
            stored = payloads(bytes(content))
            assert image.voxels.tobytes() in stored or image.voxels.byteswap().tobytes() in stored


def payloads(content: bytes) -> list[bytes]:
    """The last bytes of the file, and of whatever begins like gzip or zlib in it, unpacked in one go."""
    found = [content]
    for mark in (b"\x1f\x8b", b"\x78\x9c"):
        for start in (place for place in range(len(content)) if content.startswith(mark, place)):
            with contextlib.suppress(zlib.error):
                found.append(zlib.decompressobj(wbits=47).decompress(content[start:]))
    return [data[-len(DATA) :] for data in found]


def test_a_decompression_bomb_costs_neither_time_nor_memory(tmp_path: Path) -> None:
    """2 GB of zeros in 2 MB: one that declares too much, and one that declares little and goes on."""
    zeros = gzip.compress(bytes(1 << 20), mtime=0)
    for name, header in (
        ("declared.nii.gz", patched(DIM + 2, "3h", 32000, 32000, 4)),
        ("endless.nii.gz", nifti()),
    ):
        (tmp_path / name).write_bytes(gzip.compress(header) + zeros * 2000)
    code = (
        "import resource, sys, time\n"
        "from radpipe.errors import FileProblem\n"
        "from radpipe.io.volumes import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    start = time.process_time()\n"
        "    try: read_image(path)\n"
        "    except FileProblem as error: print(time.process_time() - start, error.problem)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=True
    )
    declared, endless, grown = done.stdout.splitlines()
    assert "GiB of voxels" in declared and float(declared.split()[0]) < 1
    assert "more follow" in endless and float(endless.split()[0]) < 1
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(grown) * unit < 50e6


def test_simpleitk_alone_would_have_taken_it(tmp_path: Path) -> None:
    """Why all this: ITK reads a volume that is cut off, and one with NaN, without a word."""
    path = tmp_path / "x.nii"
    path.write_bytes(nifti()[:-100])
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(path))).shape == GRID.shape
    path.write_bytes(with_value(NAN, "f4"))
    assert np.isfinite(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))).all()
