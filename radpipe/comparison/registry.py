"""Which tests there are: a new one is one file and one line here."""

from __future__ import annotations

PRIMARY_TEST = "corrected_t"

TESTS: dict[str, str] = {
    "corrected_t": "radpipe.comparison.corrected_t:TEST",
    "delong": "radpipe.comparison.delong:TEST",
    "mcnemar": "radpipe.comparison.mcnemar:TEST",
    "paired_bootstrap": "radpipe.comparison.paired_bootstrap:TEST",
}
