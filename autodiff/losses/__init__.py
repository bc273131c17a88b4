"""Losses: functions and classes with the names, arguments and defaults of torch.nn."""

from .classification import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    KLDivLoss,
    NLLLoss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    nll_loss,
)
from .margins import (
    HingeEmbeddingLoss,
    HingeLoss,
    MarginRankingLoss,
    TripletMarginLoss,
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    triplet_margin_loss,
)
from .reduction import Loss
from .regression import (
    GaussianNLLLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    SmoothL1Loss,
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
