"""features, outcomes -> which features go with which outcome, how strongly and how surely. For looking, not for choosing: to model
the same patients afterwards with what was found here is double use."""
