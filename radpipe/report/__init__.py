"""10. tables -> one self-contained page that a clinician can read."""
