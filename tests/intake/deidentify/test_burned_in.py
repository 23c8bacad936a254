"""Text in voxels is seen, and anatomy is not taken for text."""

from __future__ import annotations

import random
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from radpipe.intake.deidentify.burned_in import blanked, find_text, in_frames
from radpipe.io.dicom import headers, pixels

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
TEXTS = ("DOE JOHN 12.03.1961", "Patient: Meyer", "ID 0012345", "St. Mary Hospital")


def a_body(seed: int, side: int = 224) -> np.ndarray:
    """Something like an axial slice: smooth tissue in air, bones, noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    inside = (x / (0.42 * side)) ** 2 + (y / (0.3 * side)) ** 2 < 1
    tissue = ndimage.gaussian_filter(rng.normal(0, 1, (side, side)), 6) * 400
    frame = np.where(inside, 1050 + tissue, 20) + rng.normal(0, 12, (side, side))
    for _ in range(9):
        cy, cx, r = *rng.uniform(-0.2 * side, 0.2 * side, 2), rng.uniform(2, 9)
        frame[(y - cy) ** 2 + (x - cx) ** 2 < r * r] += rng.uniform(300, 1000)
    return np.clip(np.rint(ndimage.gaussian_filter(frame, 0.7)), 0, 4095).astype(np.int32)


def draw(
    frame: np.ndarray, text: str, size: int, at: tuple[int, int], ink: float, *, smooth: bool, font: str = "DejaVuSans.ttf"
) -> np.ndarray:
    shown = Image.new("L", frame.shape[::-1], 0)
    ImageDraw.Draw(shown).text(at, text, fill=255, font=ImageFont.truetype(str(FONTS / font), size))
    share = np.asarray(shown) / 255.0
    share = share if smooth else (share > 0.5).astype(float)
    return np.rint(frame * (1 - share) + ink * share).astype(frame.dtype)


def test_text_of_many_sizes_is_found_and_its_place() -> None:
    rng = random.Random(20)
    missed, tried = [], 0
    for seed in range(44):
        frame = a_body(seed % 6)
        size, font = (
            rng.choice([10, 11, 12, 14, 18, 24, 30]),
            rng.choice(["DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf"]),
        )
        text, smooth = rng.choice(TEXTS), rng.random() < 0.5
        wide = ImageFont.truetype(str(FONTS / font), size).getlength(text)
        if wide > 218:
            continue
        at = (rng.randint(0, int(222 - wide)), rng.choice([2, 10, 195 - size, 112]))
        shown = draw(frame, text, size, at, rng.choice([4095, 3000]), smooth=smooth, font=font)
        tried += 1
        boxes = find_text(shown)
        if not any(
            top < at[1] + size and bottom > at[1] and left < at[0] + wide and right > at[0] for top, left, bottom, right in boxes
        ):
            missed.append((seed, size, text, at))
    assert tried > 30 and len(missed) <= 0.05 * tried, missed


def test_made_up_anatomy_is_not_taken_for_text() -> None:
    assert [seed for seed in range(8) if find_text(a_body(seed))] == []


def test_noise_is_not_taken_for_text() -> None:
    rng = np.random.default_rng(4)
    frames = [ndimage.gaussian_filter(rng.normal(0, 100, (192, 192)), width) for width in (0, 0.7, 1, 1.5, 2, 3)]
    assert [at for at, frame in enumerate(frames) if find_text(frame)] == []


@pytest.mark.parametrize(("smooth", "turn", "ink"), [(False, 0, 4095), (True, 0, 4095), (False, 1, 4095), (False, 0, 0)])
def test_upright_and_turned_bright_and_dark_text_is_blanked(smooth: bool, turn: int, ink: int) -> None:
    frame = a_body(3)
    shown = np.rot90(draw(frame, "DOE JOHN 1961", 14, (50, 100), ink, smooth=smooth), turn).copy()
    frames = np.stack([np.rot90(frame, turn), shown])
    found = in_frames(frames)
    assert list(found) == [1]
    clean = blanked(frames, found)
    assert in_frames(clean) == {} and np.array_equal(clean[0], frames[0])
    assert (clean[1] != shown).mean() < 0.1  # only about the text


def test_flat_tiny_and_broken_frames_hold_no_text() -> None:
    assert find_text(np.zeros((64, 64))) == [] and find_text(np.zeros((3, 3))) == []
    assert find_text(np.full((64, 64), np.nan)) == []


def test_real_slices_are_not_taken_for_text(shared_data: Path) -> None:
    folder = shared_data / "dicom"
    files = [*sorted((folder / "ct_gantry_tilt_ge").glob("*.dcm"))[::9], *sorted((folder / "ct_jpeg2000").glob("CT*"))[::7]]
    for name in ("CT", "PET", "MR_T1"):
        files += sorted((shared_data / "sts" / "dicom" / "STS_001" / name / "image").glob("*.dcm"))[::14]
    assert len(files) > 15
    assert [path.name for path in files if in_frames(pixels.frames(headers.read_whole(path)))] == []
