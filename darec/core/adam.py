"""Adam on a loss plus L2, as the training steps see it: its constants and its methods."""

from typing import Any, Literal, Protocol

from darec.core.batches import Epoch, RowBatch
from darec.core.recommender import DivergedError

Decay = Literal["coupled", "decoupled"]
BETAS = (0.9, 0.999)
EPS = 1e-8
MOST_DECAY = 0.025
"""With decoupled decay, the largest weight of R times the learning rate. Each step then takes 5 %
off all weights."""


def shrink_factor(learning_rate: float, l2: float, decay: Decay) -> float:
    """Return the factor on the weights at each step, which is 1 with coupled decay.

    Raises `DivergedError` if it is so small that weights vanish within some steps.
    """
    if decay == "coupled":
        return 1.0
    if l2 * learning_rate > MOST_DECAY:
        raise DivergedError(
            "with decoupled decay, the weight of R times the learning rate must be at most "
            f"{MOST_DECAY:g}, not {l2:g} * {learning_rate:g}"
        )
    return 1 - 2 * l2 * learning_rate


class Adam(Protocol):
    """Adam on a loss plus ``l2 * R``. R is the sum of all squared weights (Eq. 2, 3 and 7).

    With ``coupled`` decay the gradient of R, ``2 l2 w``, is added to the gradient of the loss. With
    ``decoupled`` decay each step first multiplies the weights by ``1 - 2 l2 learning_rate`` (AdamW;
    ours). R counts once a step, while errors are summed over the batch. So the best ``l2`` depends
    on the batch size (docs/paper.md, reading 1).
    """

    def begin(self, *epochs: Epoch) -> None:
        """Begin an epoch. ``epochs`` has one entry for each rating-sized weight, in order."""

    def step(self, *batches: RowBatch) -> None:
        """Do a step with the gradients of the parameters, then clear them.

        ``batches`` has one entry for each rating-sized weight: the batch that its gradient is of.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps. To be called between two epochs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
