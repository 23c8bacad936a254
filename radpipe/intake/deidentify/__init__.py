"""De-identification: every object built anew from an allow-list, so that what is not known is not there."""
