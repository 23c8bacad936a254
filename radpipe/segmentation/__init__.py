"""3. image -> mask, by a network that never saw the patient. Outlines teach it, never outcomes."""
