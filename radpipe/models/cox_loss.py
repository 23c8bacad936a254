"""Cox's partial likelihood as a loss: one function for the network on features and the network on images."""

from __future__ import annotations

import torch
from torch import Tensor


def cox_loss(score: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Minus the logarithm of the partial likelihood, divided by the number of events; scalar, 0 without events.

    score : (n,) logarithm of the relative hazard; (..., n) for several networks at once, which gives (...).
    time : (n,), to the event or to the end of follow-up. event : (n,) bool, True
    for the event meant; anything else, a competing event too, is censored at its time (cause-specific hazard).
    Ties by Efron's rule (Efron 1977, doi:10.1080/01621459.1977.10480613), as in R's ``survival::coxph``. Cox 1972,
    doi:10.1111/j.2517-6161.1972.tb00899.x. Of a batch it is the likelihood within the batch's own risk sets, a sample of the
    whole (Kvamme 2019, JMLR 20(129)).
    """
    event = event.to(torch.bool)
    if not bool(event.any()):
        return score.sum(-1) * 0.0
    order = torch.argsort(time, descending=True, stable=True)
    time, event, score = time[order], event[order], score[..., order]
    # Times are sorted downwards, so those at risk at a time are all up to the last case with that time.
    _, group, size = torch.unique_consecutive(time, return_inverse=True, return_counts=True)
    at_risk = torch.logcumsumexp(score, -1)[..., size.cumsum(0) - 1]
    events = event.nonzero()[:, 0]
    of = group[events]
    # The j-th of d tied events (j from 0) meets the risk set less j/d of the tied events' own hazards, here as a share of it.
    share = torch.zeros_like(at_risk).index_add(-1, of, (score[..., events] - at_risk[..., of]).exp())
    deaths = torch.bincount(of, minlength=len(size))
    rank = torch.arange(len(of), device=of.device) - (deaths.cumsum(0) - deaths)[of]
    meets = at_risk[..., of] + torch.log1p(-rank.to(score.dtype) / deaths[of] * share[..., of])
    return (meets - score[..., events]).mean(-1)
