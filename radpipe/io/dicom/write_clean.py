"""A dataset as a file, whole or not at all: preamble of zeros, its own file meta information, explicit VR little endian, no byte after
it."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from radpipe.io.dicom import headers
from radpipe.io.files import write_bytes


def encoded(dataset: Dataset) -> bytes:
    """The bytes of its file. Values are written as they are, what is wrong with them is not judged here."""
    buffer = io.BytesIO()
    with headers.reasons():
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def write_dataset(path: Path, dataset: Dataset) -> bytes:
    """Write the file, and give back its bytes."""
    data = encoded(dataset)
    write_bytes(path, data)
    return data
