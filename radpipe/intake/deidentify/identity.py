"""From a secret: pseudonyms, UIDs and offsets of days, each a keyed hash, so that workers need no table to agree.

HMAC-SHA256 (RFC 2104). Whoever has the secret can tell whether an id belongs to a pseudonym; nobody else can.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom.uid import UID_dictionary

from radpipe.errors import ConfigError
from radpipe.intake.deidentify.profile import OBJECTS, PICTURES

MIN_CHARACTERS = 16
PSEUDONYM_CHARACTERS = 14  # of base32: 70 bits; two of a million patients share one with a chance of 1 in 2e9, and that is seen
_WEEKS = (53, 520)  # dates are moved back by one to ten years


def is_standard(uid: str) -> bool:
    """Whether the standard itself defines a UID: an object type, a transfer syntax, an atlas. pydicom's list and ours, which knows
    younger object types; a UID is not taken for one by its root alone."""
    return uid in UID_dictionary or uid in OBJECTS or uid in PICTURES


@dataclass(frozen=True)
class Secret:
    """key : 32 bytes derived from what the user gave."""

    key: bytes

    def __repr__(self) -> str:  # it must not stand in a traceback
        return "Secret(...)"

    @classmethod
    def of(cls, text: str) -> Secret:
        """ConfigError where it is too short to keep anybody from trying all ids."""
        if len(text.strip()) < MIN_CHARACTERS or len(set(text.strip())) < 6:
            raise ConfigError(
                f"the secret is too short: it needs at least {MIN_CHARACTERS} characters, 6 of them different.",
                hint="Make one, for example with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        return cls(hashlib.sha256(b"radpipe deidentify 1\0" + text.strip().encode("utf-8", "surrogatepass")).digest())

    def digest(self, *parts: str) -> bytes:
        """32 bytes that depend on every part."""
        joined = b"\x1f".join(part.encode("utf-8", "surrogatepass") for part in parts)
        return hmac.new(self.key, joined, hashlib.sha256).digest()

    def hex(self, *parts: str) -> str:
        return self.digest(*parts).hex()

    def uid(self, original: str) -> str:
        """Another UID for a UID, always the same; those that the standard itself defines (classes, transfer syntaxes) stay."""
        original = original.strip(" \0")
        if not original or is_standard(original):
            return original
        return f"2.25.{uuid.UUID(bytes=self.digest('uid', original)[:16], version=5).int}"

    def pseudonym(self, patient: str, characters: int = PSEUDONYM_CHARACTERS) -> str:
        return "RP" + base64.b32encode(self.digest("patient", patient)).decode().rstrip("=")[:characters]

    def days(self, patient: str) -> int:
        """By how many days the patient's dates move: whole weeks back, so that weekdays stay what they are."""
        low, high = _WEEKS
        return -7 * (low + int.from_bytes(self.digest("days", patient)[:8], "big") % (high - low + 1))

    def check(self) -> str:
        """Tells a table made with this secret from one of another, and nothing about the secret."""
        return self.hex("check")[:16]


def assign(patients: Iterable[str], secret: Secret, known: Mapping[str, str]) -> dict[str, str]:
    """Patient -> pseudonym: as ``known`` has it, else from the secret; where two would share one, the later has a longer one."""
    found = {}
    taken = set(known.values())
    for patient in sorted(set(patients)):
        if patient in known:
            found[patient] = known[patient]
            continue
        name = next(
            name for length in range(PSEUDONYM_CHARACTERS, 52) if (name := secret.pseudonym(patient, length)) not in taken
        )
        found[patient] = name
        taken.add(name)
    return found
