"""User-item pairs that are scored a second, on one core, to recommend ten items to every user.

``python -m darec.benchmark.serving FOLDER`` prints the pairs a second of one model folder. Seconds
are those of the process, so that other work on the machine does not count.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from darec.api.fit import fit
from darec.api.search import search
from darec.benchmark.core import Figure
from darec.core.config import parse
from darec.core.recommender import Run
from darec.core.tables import HasTables, Tables
from darec.data.ratings import DomainPair, Ratings
from darec.models import kind_of
from darec.reporter import SILENT
from darec.seeds import derive
from darec.serving.batch import recommended
from darec.serving.folder import StoredStages, read, read_card
from darec.serving.model import LoadedModel
from darec.serving.scorer import Scorer

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
TARGET = 2e6
"""Pairs a second that the models are to reach."""
N = 10


def serving(names: Sequence[str], pair: DomainPair, repeats: int = 5) -> Iterator[Figure]:
    """Measure a short search's winner of each model, in a process of its own.

    ``recommend_...``: what `darec recommend` does but for the file, against 2 million pairs a
    second. ``top_...``: the best items alone, without ids and tables, against `implicit` with the
    same factors, where it is installed, and against writing each score to memory once.
    """
    with TemporaryDirectory() as out:
        for name in names:
            result = search(name, pair, trials=1, max_epochs=3, out=out, reporter=SILENT)
            folder = fit(result, pair, reporter=SILENT)
            command = [sys.executable, "-m", __name__, folder, str(repeats)]
            run = subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, **ONE_THREAD},
            )
            rates: dict[str, float] = json.loads(run.stdout)
            top = rates.pop("top")
            yield _figure(f"recommend_{name}", rates.pop("recommend"), TARGET)
            for reference, rate in rates.items():
                yield _figure(f"top_{name}_{reference}", top, rate)


def _figure(name: str, rate: float, reference: float) -> Figure:
    return Figure(name, rate / 1e6, "M/s", reference / 1e6, rate / reference)


def _measure(folder: Path, repeats: int) -> dict[str, float]:
    """Return the pairs a second of recommending, of the best items alone and of the references."""
    torch.set_num_threads(1)
    card = read_card(folder)
    weights, stages, training, ids = read(folder, card)
    kind, run = kind_of(card.model), Run(derive(card.seed, "run"), cache=StoredStages(stages))
    recommender = kind.build(parse(kind.config, card.config), training, run)
    recommender.load_weights(weights)
    model = LoadedModel(card, Scorer(card.model, recommender, training, card.cold), ids)
    users, positions = list(model.user_ids.ids), np.arange(len(model.user_ids))
    at_once = model.users_at_once
    block = np.empty((len(users), len(model.item_ids)), np.float32)

    def top() -> None:
        for begin in range(0, len(users), at_once):
            model.top(positions[begin : begin + at_once], N)

    works: dict[str, Callable[[], object]] = {
        "recommend": lambda: list(recommended(model, users, N, True, "raise", 0.0, None)),
        "top": top,
        "bandwidth_floor": lambda: block.fill(1.0),
    }
    if find_spec("implicit") and isinstance(recommender, HasTables):
        tables = recommender.tables()
        if isinstance(tables, Tables):
            works["implicit"] = _implicit(tables, training.target)
    return {name: block.size / _seconds(work, repeats) for name, work in works.items()}


def _implicit(tables: Tables, ratings: Ratings) -> Callable[[], object]:
    """Return a call of implicit's recommend, whose dot products are the scores of the tables."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    one_U, one_I = (np.ones((len(t), 1), np.float32) for t in (tables.user_UX, tables.item_IX))
    theirs = AlternatingLeastSquares(num_threads=1)
    theirs.user_factors = np.hstack([tables.user_UX, tables.user_bias_U[:, None], one_U])
    theirs.item_factors = np.hstack([tables.item_IX, one_I, tables.item_bias_I[:, None]])
    seen = csr_matrix((ratings.values, (ratings.users, ratings.items)), (len(one_U), len(one_I)))
    users = np.arange(len(one_U))
    return lambda: theirs.recommend(users, seen, N=N, filter_already_liked_items=True)


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of this process that a call takes, after a first one."""
    work()
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), int(sys.argv[2]))))
