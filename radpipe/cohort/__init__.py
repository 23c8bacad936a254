"""1. A table of cases -> who is in the study, and who trains, selects and tests in which fold."""
