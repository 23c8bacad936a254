"""Every transfer syntax gives the same voxels; what is damaged, too large or has no decoder is refused by name."""

from __future__ import annotations

import itertools
import struct
import tomllib
import zlib

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from radpipe.errors import FileProblem
from radpipe.io.dicom import headers, pixels
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.scan import Left, scan_file
from radpipe.io.volumes import read_image

PLAIN = "emri_small.dcm"


def frames_of(path) -> np.ndarray:
    return pixels.frames(headers.read_whole(path))


@pytest.mark.parametrize("name", ["RLE", "big_endian", "jpeg_2k_lossless", "jpeg_ls_lossless"])
def test_one_enhanced_mr_in_five_transfer_syntaxes(shared_data, name):
    folder = shared_data / "dicom/pydicom_data_extra"
    plain = frames_of(folder / PLAIN)
    assert plain.shape == (10, 64, 64)
    np.testing.assert_array_equal(plain.ravel(), np.frombuffer(pydicom.dcmread(folder / PLAIN).PixelData, "<u2"))
    np.testing.assert_array_equal(frames_of(folder / f"emri_small_{name}.dcm"), plain)


@pytest.mark.parametrize("name", ["liver_rle", "liver_deflate", "liver_j2k", "liver_expb"])
def test_one_segmentation_in_five_transfer_syntaxes(shared_data, name):
    folder = shared_data / "dicom/pydicom_data_extra"
    plain = frames_of(folder / "liver.dcm")
    packed = np.frombuffer(pydicom.dcmread(folder / "liver.dcm").PixelData, np.uint8)
    np.testing.assert_array_equal(plain.ravel(), np.unpackbits(packed, bitorder="little")[: plain.size])
    np.testing.assert_array_equal(frames_of(folder / f"{name}.dcm"), plain)


def test_bits_whose_frames_do_not_end_at_a_byte(shared_data):
    folder = shared_data / "dicom/pydicom_data_extra"
    plain = frames_of(folder / "liver_nonbyte_aligned.dcm")
    assert plain.shape == (3, 510, 510)
    np.testing.assert_array_equal(plain, frames_of(folder / "liver.dcm")[:, :510, :510])
    np.testing.assert_array_equal(frames_of(folder / "liver_nonbyte_aligned_rle.dcm"), plain)


@pytest.mark.parametrize("name", ["693_J2KR.dcm", "693_UNCR.dcm", "explicit_VR-UN.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm"])
def test_single_images_as_gdcm_reads_them(shared_data, name):
    path = shared_data / "dicom/pydicom_data_extra" / name
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    stored = frames_of(path).astype(float) * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    np.testing.assert_array_equal(stored, sitk.GetArrayFromImage(sitk.ReadImage(str(path))).reshape(stored.shape))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize(
    "syntax",
    [RLELossless, JPEG2000Lossless, JPEGLSLossless, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian],
    ids=lambda syntax: syntax.name,
)
def test_what_is_written_losslessly_is_read(tmp_path, make_slice, dtype, syntax):
    bounds = np.iinfo(dtype)
    values = np.random.default_rng(5).integers(bounds.min, bounds.max, (33, 35), dtype=dtype, endpoint=True)
    dataset = make_slice(values)
    if syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = values.astype(values.dtype.newbyteorder(">")).tobytes()
        dataset["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    assert not isinstance(scan_file(tmp_path / "x.dcm", tmp_path), Left)
    np.testing.assert_array_equal(frames_of(tmp_path / "x.dcm")[0], values)


def test_chosen_frames_only(shared_data):
    folder = shared_data / "dicom/pydicom_data_extra"
    plain = frames_of(folder / PLAIN)
    for name in (PLAIN, "emri_small_RLE.dcm", "emri_small_jpeg_ls_lossless.dcm"):
        np.testing.assert_array_equal(pixels.frames(headers.read_whole(folder / name), [7, 2]), plain[[7, 2]])
    bits = frames_of(folder / "liver.dcm")
    for name in ("liver_rle.dcm", "liver_deflate.dcm"):
        np.testing.assert_array_equal(pixels.frames(headers.read_whole(folder / name), [2, 0]), bits[[2, 0]])
    with pytest.raises(Unreadable, match="frame 11 is asked for"):
        pixels.frames(headers.read_whole(folder / PLAIN), [10])


def test_jpeg_lossless_is_refused_with_what_to_install(shared_data, repository):
    path = shared_data / "dicom/pydicom_data_extra/bad_sequence.dcm"
    try:
        import libjpeg  # noqa: F401  # the GPL plug-in of pylibjpeg

        pytest.skip("pylibjpeg-libjpeg is installed here")
    except ImportError:
        pass
    for read in (frames_of, read_image):
        with pytest.raises((Unreadable, FileProblem), match="JPEG Lossless") as caught:
            read(path)
    assert "bad_sequence.dcm" in str(caught.value)
    # What is named is what pip knows.
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert f"`pip install '{project['name']}[jpeg-lossless]'`" in str(caught.value)
    assert any(one.startswith("pylibjpeg-libjpeg") for one in project["optional-dependencies"]["jpeg-lossless"])


def test_a_syntax_that_nothing_decodes_is_named(make_slice):
    dataset = make_slice(np.zeros((4, 4), np.int16))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    with pytest.raises(Unreadable, match="MPEG-4"):
        pixels.frames(dataset)


def packed(make_slice, syntax, **changes):
    dataset = make_slice(np.arange(1600, dtype=np.uint16).reshape(40, 40))
    dataset.compress(syntax, generate_instance_uid=False)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("changes", "what", "word"),
    [
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 100}, "too-large", "800 GiB"),
        ({"Rows": 8000, "Columns": 8000}, "too-large", "cannot hold so many"),
        ({"Rows": 40000, "Columns": 4000}, "too-large", "MiB a frame"),
        ({"NumberOfFrames": 3, "Rows": 4, "Columns": 4}, "truncated", "3 frames and 1"),
        ({"NumberOfFrames": -3}, "damaged", "-3 frames"),
        ({"Rows": 0}, "damaged", "0 x 40"),
        ({"BitsAllocated": 12}, "damaged", "12 bits"),
        ({"BitsStored": 12, "HighBit": 15}, "damaged", "bits stored"),
        ({"SamplesPerPixel": 3}, "colour", "colour"),
    ],
)
def test_headers_that_declare_what_the_file_cannot_hold(make_slice, changes, what, word):
    with pytest.raises(Unreadable, match=word) as caught:
        pixels.frames(packed(make_slice, RLELossless, **changes))
    assert caught.value.what == what


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_frame_of_another_size_is_refused(make_slice, syntax):
    with pytest.raises(Unreadable, match="holds 40 x 40 voxels, and the header declares 4 x 4"):
        pixels.frames(packed(make_slice, syntax, Rows=4, Columns=4))


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_frame_that_is_cut_is_refused(make_slice, syntax):
    dataset = packed(make_slice, syntax)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(Unreadable, match="cut off"):
        pixels.frames(dataset)


def test_rle_that_its_decoder_panics_at_is_refused(make_slice):
    """Every byte of a frame changed once: decoded to something, or refused; the Rust decoder's panics end nothing."""
    dataset = make_slice(np.arange(64, dtype=np.uint16).reshape(8, 8))
    dataset.compress(RLELossless, generate_instance_uid=False)
    frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    refused = 0
    for at in range(len(frame)):
        changed = frame.copy()
        changed[at] ^= 0x7F
        dataset.PixelData = encapsulate([bytes(changed)])
        try:
            assert pixels.frames(dataset).shape == (1, 8, 8)
        except Unreadable:
            refused += 1
    assert refused


def test_a_codestream_that_claims_to_be_huge_is_not_believed(make_slice):
    """The decoder would allocate what the frame itself claims."""
    dataset = packed(make_slice, JPEG2000Lossless)
    frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    size = frame.find(b"\xff\x51") + 6
    frame[size : size + 8] = struct.pack(">II", 60000, 60000)
    dataset.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(Unreadable, match="60000 x 60000"):
        pixels.frames(dataset)


def test_a_deflated_file_that_unpacks_without_end_is_refused(tmp_path, make_slice):
    dataset = make_slice(np.zeros((8, 8), np.int16))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "small.dcm", enforce_file_format=True)
    whole = (tmp_path / "small.dcm").read_bytes()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    plain = (tmp_path / "plain.dcm").read_bytes()
    data_set = plain[plain.index(b"\x08\x00\x16\x00") :]
    meta = whole[: 144 + struct.unpack("<I", whole[140:144])[0]]
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = b"\0" * (1 << 20)
    bomb = meta + pack.compress(data_set) + b"".join(pack.compress(zeros) for _ in range(80)) + pack.flush()
    (tmp_path / "bomb.dcm").write_bytes(bomb)
    with pytest.raises(Unreadable, match="far more than its header declares"):
        headers.read_whole(tmp_path / "bomb.dcm")
    (tmp_path / "cut.dcm").write_bytes(whole[:-8])
    for name, what in (("cut.dcm", "truncated"), ("small.dcm", None)):
        assert getattr(scan_file(tmp_path / name, tmp_path), "what", None) == what


def test_every_pair_of_syntaxes_says_what_it_needs(monkeypatch, make_slice):
    """Without any plug-in every compressed syntax is refused by name and nothing is decoded by chance."""
    from pydicom.pixels.decoders import base

    monkeypatch.setattr(base.Decoder, "is_available", property(lambda self: False))
    for syntax, word in itertools.product((RLELossless, JPEG2000Lossless, JPEGLSLossless), ("pip install",)):
        with pytest.raises(Unreadable) as caught:
            pixels.check_decoder(syntax)
        assert word in caught.value.hint and syntax.name in caught.value.why
