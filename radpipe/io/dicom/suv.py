"""PET activity -> standardised uptake value.

SUV = activity in Bq/ml x size of the patient / dose still there at the time the activity is corrected to. Size is the body
weight in g (bw), the lean body mass in g (lbm: Janmahasatian 2005, doi:10.2165/00003088-200544100-00004, the formula of the
EANM guidelines) or the body surface in cm2 (bsa: Du Bois 1916). The start of the scan follows the vendor-neutral rule of the
QIBA FDG-PET profile. Whatever is missing or cannot be true is named; nothing is assumed in its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from radpipe.io.dicom import enhanced, headers
from radpipe.io.dicom.headers import Unreadable

Kind = Literal["bw", "lbm", "bsa"]
TAGS = (
    *headers.tags(
        "Units", "SUVType", "DecayCorrection", "DecayCorrected", "DecayCorrectionDateTime", "CorrectedImage", "PatientWeight",
        "PatientSize", "PatientSex", "RadiopharmaceuticalInformationSequence", "SeriesDate", "SeriesTime", "AcquisitionDate",
        "AcquisitionTime", "AcquisitionDateTime", "FrameReferenceTime", "ActualFrameDuration", "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence", "RescaleType",
    ),
    0x00090010, 0x0009100D, 0x70530010, 0x70531000, 0x70531009,
)  # fmt: skip
_AS_IT_IS = "Or read the values as they are stored (in Python, suv=None)."
_UNITS = {"BQ/ML": "BQML", "G/ML{SUVBW}": "GML", "{SUVBW}G/ML": "GML", "COUNTS": "CNTS", "{COUNTS}": "CNTS"}
_KINDS = {"": "bw", "BW": "bw", "LBM": "lbm", "LBMJANMA": "lbm", "BSA": "bsa"}


@dataclass(frozen=True)
class Facts:
    """What one PET file says about its values; None or '' where it says nothing. Times in s of one clock, durations in s."""

    units: str
    suv_type: str
    decay: str  # START, ADMIN, NONE
    corrected: tuple[str, ...]
    weight_kg: float | None
    height_m: float | None
    sex: str
    dose_bq: float | None
    half_life_s: float | None
    injected: datetime | None
    injected_has_date: bool
    tracers: int
    series_start: datetime | None
    acquired: datetime | None
    corrected_to: datetime | None
    ge_start: datetime | None
    frame_reference_s: float | None
    frame_duration_s: float | None
    philips_suv: float | None
    philips_activity: float | None


_PER_SLICE = {"acquired", "frame_reference_s", "frame_duration_s"}
_NAMES = {
    "units": "Units", "suv_type": "SUVType", "decay": "DecayCorrection", "corrected": "CorrectedImage",
    "weight_kg": "PatientWeight", "height_m": "PatientSize", "sex": "PatientSex", "dose_bq": "RadionuclideTotalDose",
    "half_life_s": "RadionuclideHalfLife", "injected": "RadiopharmaceuticalStartTime",
    "series_start": "SeriesTime", "corrected_to": "DecayCorrectionDateTime",
    "philips_suv": "the SUV factor of Philips (7053,1000)", "philips_activity": "the activity factor of Philips (7053,1009)",
}  # fmt: skip


def facts(dataset: Dataset) -> Facts:
    """What a PET header says. Legacy converted files keep some of it among their unassigned attributes."""
    sources = (dataset, *enhanced.converted(dataset))

    def text(keyword: str) -> str:
        return next((found for source in sources if (found := headers.text(source, keyword))), "")

    def number(keyword: str) -> float | None:
        return next((found for source in sources if (found := headers.number(source, keyword)) is not None), None)

    tracers = next(
        (found for source in sources if (found := headers.items(source, "RadiopharmaceuticalInformationSequence"))), ()
    )
    tracer = tracers[0] if tracers else Dataset()
    # Where one of the dates is missing the other one stands for it: a time without a date could not be compared.
    acquired_on = text("AcquisitionDate") or text("AcquisitionDateTime")[:8] or text("SeriesDate")
    made_on = text("SeriesDate") or acquired_on
    acquired = text("AcquisitionTime")
    full = _moment(headers.text(tracer, "RadiopharmaceuticalStartDateTime"))
    decay = text("DecayCorrection").upper()
    corrected_to = _moment(text("DecayCorrectionDateTime"))
    if not decay and text("DecayCorrected"):
        decay = "START" if text("DecayCorrected").upper() == "YES" else "NONE"
    return Facts(
        units=text("Units").upper() or _enhanced_units(dataset),
        suv_type=text("SUVType").upper(),
        decay=decay,
        corrected=tuple(value for value in text("CorrectedImage").upper().split("\\") if value),
        weight_kg=number("PatientWeight"),
        height_m=number("PatientSize"),
        sex=text("PatientSex").upper(),
        dose_bq=headers.number(tracer, "RadionuclideTotalDose"),
        half_life_s=headers.number(tracer, "RadionuclideHalfLife"),
        injected=full or _when(acquired_on, headers.text(tracer, "RadiopharmaceuticalStartTime")),
        injected_has_date=full is not None,
        tracers=len(tracers),
        series_start=_when(made_on, text("SeriesTime")),
        acquired=_when(acquired_on, acquired) if acquired else _moment(text("AcquisitionDateTime")),
        corrected_to=corrected_to,
        ge_start=_moment(_private(dataset, 0x0009100D, 0x00090010, "GEMS_PETD_01")),
        frame_reference_s=_thousandth(number("FrameReferenceTime")),
        frame_duration_s=_thousandth(number("ActualFrameDuration")),
        philips_suv=_positive(_private(dataset, 0x70531000, 0x70530010, "Philips PET Private Group")),
        philips_activity=_positive(_private(dataset, 0x70531009, 0x70530010, "Philips PET Private Group")),
    )


def factor(files: Sequence[Facts], kind: Kind = "bw") -> float:
    """What the rescaled values of a PET series must be multiplied with to be SUV. Unreadable, with the names of what is missing,
    contradictory or impossible, where that cannot be known."""
    _check_same(files, ("units", "suv_type", "weight_kg", "height_m", "sex"))
    one = files[0]
    if kind not in ("bw", "lbm", "bsa"):
        raise ValueError(f"there is no SUV by {kind!r}; it is bw, lbm or bsa")
    if not one.units:
        raise _missing(["Units (0054,1001)"])
    if one.units in ("GML", "CM2ML"):
        stored = "bsa" if one.units == "CM2ML" else _KINDS.get(one.suv_type)
        if stored == kind:
            return 1.0
        if stored == "bw":
            return _size(one, kind) / _size(one, "bw")
        raise _cannot(
            f"its values are SUV of the type {one.suv_type or one.units}, and SUV by {kind} is asked for.",
            "Ask for the type that is stored.",
        )
    if one.units not in ("BQML", "CNTS"):
        raise _cannot(f"its Units are {one.units}; only BQML, GML, CM2ML and CNTS of Philips can be brought to SUV.")
    if one.corrected and "ATTN" not in one.corrected:
        raise _cannot("its values are not corrected for attenuation (CorrectedImage has no ATTN).", "Take the corrected series.")
    _check_same(files, (field.name for field in fields(Facts) if field.name not in _PER_SLICE))
    activity = 1.0
    if one.units == "CNTS":
        if one.philips_suv is not None:
            return one.philips_suv if kind == "bw" else one.philips_suv * _size(one, kind) / _size(one, "bw")
        if one.philips_activity is None:
            raise _cannot("its Units are CNTS, and neither factor of Philips, (7053,1000) or (7053,1009), is there.")
        activity = one.philips_activity
    if one.corrected and one.decay in ("START", "ADMIN") and not {"DECY", "DECAY"} & set(one.corrected):
        raise _cannot(f"DecayCorrection is {one.decay}, and CorrectedImage has no DECY: one of them is wrong.")
    return activity * _size(one, kind) / _dose_at_reference(files)


def _dose_at_reference(files: Sequence[Facts]) -> float:
    """The dose in Bq at the time to which the activity is corrected."""
    one = files[0]
    if one.tracers > 1:
        raise _cannot(f"{one.tracers} radiopharmaceuticals were given, and which one is meant is not said.")
    needed = {"RadionuclideTotalDose (0018,1074)": _positive(one.dose_bq), "DecayCorrection (0054,1102)": one.decay or None}
    if one.decay != "ADMIN":
        needed |= {
            "RadionuclideHalfLife (0018,1075)": _positive(one.half_life_s),
            "RadiopharmaceuticalStartTime (0018,1072)": one.injected,
            "SeriesTime (0008,0031)": one.corrected_to or one.series_start or one.acquired,
        }
    lacking = [name for name, value in needed.items() if value is None]
    if lacking:
        raise _missing(lacking)
    dose = one.dose_bq or 0.0
    if dose < 1e5:
        raise _cannot(f"RadionuclideTotalDose is {dose:g} Bq, less than any scan is made with; it may have been written in MBq.")
    if one.decay == "ADMIN":
        return dose
    if one.decay != "START":
        raise _cannot(
            f"DecayCorrection is {one.decay}: the values belong to no one time.", "Take the series corrected to its start."
        )
    half_life = one.half_life_s or 0.0
    return dose * 2.0 ** (-_elapsed(files, half_life) / half_life)


def _elapsed(files: Sequence[Facts], half_life: float) -> float:
    """Seconds from the injection to the time to which the activity is corrected."""
    one = files[0]
    start = one.corrected_to or _scan_start(files, half_life)
    if one.injected is None or start is None:
        raise _missing(["RadiopharmaceuticalStartTime (0018,1072)", "SeriesTime (0008,0031)"])
    elapsed = (start - one.injected).total_seconds()
    if not one.injected_has_date:
        if half_life > 6 * 3600:
            raise _cannot(
                "only the time of the injection is given and not its day, and with this half-life it may have been days before.",
                "RadiopharmaceuticalStartDateTime (0018,1078) must be there.",
            )
        if elapsed < -12 * 3600:
            elapsed += 24 * 3600  # injected before midnight, scanned after it
    if not 0 <= elapsed <= 10 * half_life:
        raise _cannot(
            f"the injection lies {elapsed / 60:.0f} min before the scan (half-life {half_life / 60:.0f} min): one of the times is wrong.",
            "Compare RadiopharmaceuticalStartTime with SeriesTime and AcquisitionTime.",
        )
    return elapsed


def _scan_start(files: Sequence[Facts], half_life: float) -> datetime | None:
    """The start of the scan: SeriesTime, unless the series was made later than its first bed position was acquired."""
    one = files[0]
    times = [file for file in files if file.acquired is not None]
    first = min(times, key=lambda file: file.acquired or datetime.max, default=None)
    if first is None or first.acquired is None:
        return one.series_start
    if one.series_start is not None and one.series_start <= first.acquired:
        return one.series_start
    if one.ge_start is not None:
        return one.ge_start
    reference, duration = first.frame_reference_s or 0.0, first.frame_duration_s or 0.0
    if reference <= 0 or duration <= 0:
        return first.acquired
    # The frame's reference time is when the mean of its counts came: earlier than its middle, because the tracer decays.
    decay = math.log(2) / half_life
    mean = math.log(decay * duration / (1 - math.exp(-decay * duration))) / decay
    return first.acquired + timedelta(seconds=mean - reference)


def _size(one: Facts, kind: str) -> float:
    """Body weight or lean body mass in g, or body surface in cm2."""
    needed: dict[str, object] = {"PatientWeight (0010,1030)": _positive(one.weight_kg)}
    if kind != "bw":
        needed["PatientSize (0010,1020)"] = _positive(one.height_m)
    if kind == "lbm":
        needed["PatientSex (0010,0040)"] = one.sex or None
    lacking = [name for name, value in needed.items() if value is None]
    if lacking:
        raise _missing(lacking)
    weight, height = one.weight_kg or 0.0, one.height_m or 0.0
    if weight > 500:
        raise _cannot(f"PatientWeight is {weight:g} kg; it may have been written in g.")
    if kind == "bw":
        return weight * 1000
    if height > 3:
        raise _cannot(f"PatientSize is {height:g} m; it may have been written in cm.")
    if kind == "bsa":
        return 0.007184 * weight**0.425 * (height * 100) ** 0.725 * 1e4
    if one.sex not in ("M", "F"):
        raise _cannot(f"PatientSex is {one.sex}, and lean body mass has a formula for M and for F.")
    of_sex = (6680.0, 216.0) if one.sex == "M" else (8780.0, 244.0)
    return 9270.0 * weight / (of_sex[0] + of_sex[1] * weight / height**2) * 1000


def _check_same(files: Sequence[Facts], names: Iterable[str]) -> None:
    """Unreadable where slices disagree on what belongs to the series: two scans in one, or an edited header."""
    for name in names:
        if len({getattr(file, name) for file in files}) > 1:
            raise _cannot(f"{_NAMES.get(name, name)} is not the same in all of its slices.", "Take one series only.")


def _missing(names: Sequence[str]) -> Unreadable:
    listed = ", ".join(names)
    return Unreadable(
        "no-suv",
        f"its SUV cannot be computed: {listed} {'is' if len(names) == 1 else 'are'} missing, empty or 0.",
        f"Have the series exported with it. {_AS_IT_IS}",
    )


def _cannot(why: str, hint: str = "Look at the scanner's record.") -> Unreadable:
    return Unreadable("no-suv", f"its SUV cannot be computed: {why}", f"{hint} {_AS_IT_IS}")


def _positive(value: float | str | None) -> float | None:
    try:
        number = float(value) if value not in (None, "") else 0.0  # type: ignore[arg-type]
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _thousandth(value: float | None) -> float | None:
    return None if value is None else value / 1000


def _private(dataset: Dataset, tag: int, creator_tag: int, creator: str) -> str:
    """A private element of one vendor as text; '' where it is missing or another vendor's. A missing creator is let pass:
    de-identification takes it away and leaves the element."""
    try:
        said = str(dataset[Tag(creator_tag)].value) if Tag(creator_tag) in dataset else creator
        if said.strip() != creator or Tag(tag) not in dataset:
            return ""
        value = dataset[Tag(tag)].value
    except Exception:  # a private element that cannot be decoded is not there
        return ""
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip("\0 ")


def _enhanced_units(dataset: Dataset) -> str:
    """BQML and the like of an enhanced PET, from the code of its real world values."""
    groups = (
        *headers.items(dataset, "PerFrameFunctionalGroupsSequence")[:1],
        *headers.items(dataset, "SharedFunctionalGroupsSequence")[:1],
    )
    mapping = enhanced.macro(groups, "RealWorldValueMappingSequence")
    code = headers.text(enhanced.macro((mapping,), "MeasurementUnitsCodeSequence"), "CodeValue").upper()
    said = headers.text(enhanced.macro(groups, "PixelValueTransformationSequence"), "RescaleType").upper()
    return _UNITS.get(code, _UNITS.get(said, said if said in ("BQML", "GML", "CNTS") else code))


def _when(day: str, time: str) -> datetime | None:
    """DICOM date and time; a missing date is taken as some day (only differences matter); None without a time."""
    clock = re.fullmatch(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?", time.strip())
    if clock is None:
        return None
    date = re.fullmatch(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})", day.strip())
    try:
        hour, minute, second = (int(part or 0) for part in clock.groups()[:3])
        year, month, number = (int(part) for part in date.groups()) if date else (2000, 1, 1)
        fraction = int((clock.group(4) or "0").ljust(6, "0"))
        return datetime(year, month, number, hour, minute, min(second, 59), fraction)
    except ValueError:
        return None


def _moment(value: str) -> datetime | None:
    """DICOM date time in the scanner's own time; an offset from UTC is that of its other times too."""
    plain = re.sub(r"[+\-]\d{4}$", "", value.strip())
    return _when(plain[:8], plain[8:]) if len(plain) >= 10 else None
