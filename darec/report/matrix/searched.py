"""The finished searches that a folder of results has, whoever began them."""

from collections.abc import Iterable
from pathlib import Path

from darec.data.holdout import Holdout, TrainPercent
from darec.data.ratings import SYNTHETIC
from darec.data.store import pair_file
from darec.models import MODELS


def pairs_searched(
    out: Path, data: Path, train: Iterable[TrainPercent], synthetic: bool
) -> list[str]:
    """Return the pairs with a finished search of the warm task whose ratings are prepared."""
    found = []
    for percent in train:
        end = Holdout(percent).label("")
        for folder in sorted(out.glob(f"*{end}")):
            label = folder.name.removesuffix(end)
            name = label.removesuffix(SYNTHETIC)
            known = name != label if synthetic else pair_file(data, label).is_file()
            if known and any(folder.glob("*/best.json")):
                found.append(name)
    return list(dict.fromkeys(found))


def models_searched(out: Path, labels: Iterable[str], train: Iterable[TrainPercent]) -> list[str]:
    """Return the models with a finished search of the warm task, in darec's order."""
    folders = [out / Holdout(percent).label(label) for label in labels for percent in train]
    return [name for name in MODELS if any((f / name / "best.json").is_file() for f in folders)]
