"""The finished searches that a folder of results has, whoever began them."""

from collections.abc import Iterable
from pathlib import Path

from darec.data.holdout import Holdout
from darec.data.pairs import PAIRS
from darec.data.ratings import SYNTHETIC
from darec.data.store import pair_file
from darec.models import MADE, all_models


def pairs_searched(
    out: Path, data: Path, holdouts: Iterable[Holdout], synthetic: bool
) -> tuple[str, ...]:
    """Return the prepared pairs with a finished search, those of Table 1 first, in its order."""
    found = set()
    for holdout in holdouts:
        end = holdout.label("")
        for best in out.glob(f"*{end}/*/best.json"):
            label = best.parents[1].name.removesuffix(end)
            name = label.removesuffix(SYNTHETIC)
            if name != label if synthetic else pair_file(data, label).is_file():
                found.add(name)
    return tuple(sorted(found, key=lambda name: ([*PAIRS, name].index(name), name)))


def models_searched(out: Path, labels: Iterable[str], holdouts: Iterable[Holdout]) -> list[str]:
    """Return the models with a finished search, in darec's order, and the stack."""
    folders = [out / holdout.label(label) for label in labels for holdout in holdouts]
    known = [*all_models(), *MADE]
    return [name for name in known if any((f / name / "best.json").is_file() for f in folders)]
