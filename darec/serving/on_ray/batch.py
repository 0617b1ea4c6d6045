"""Recommendations of all users, scored on a cluster by Ray Data.

Each part of the users is one Parquet file. After an interruption, those that are there are kept.
"""

import logging
import socket
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import torch
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError, RayTaskError

from darec.errors import UserError
from darec.files import digest_of
from darec.provenance import Build, difference, this_build
from darec.reporter import LOGGER, SILENT, Reporter
from darec.serving.batch import recommended, schema_of
from darec.serving.checks import check_lower_bound
from darec.serving.columns import read_titles
from darec.serving.load import Copy, copy_of, model_of
from darec.serving.model import SCORES_AT_ONCE, LoadedModel
from darec.serving.on_ray.parts import Plan, begin, digest, write_part
from darec.tuning import storage
from darec.tuning.cluster.connection import cluster_cpus, connected
from darec.tuning.cluster.preflight import check_cluster, why

PAIRS_A_PART, MOST_USERS_A_PART = 50_000_000, 50_000
"""Scores of a part, some 10 s of one core, and users, whose rows are in memory at once."""
COPIES = 4
"""Memory of an actor's model, as a multiple of its folder."""
PROCESS_BYTES = 512 * 2**20
"""Memory of Python and torch in an actor."""


def recommend_on_cluster(
    model: str | Path,
    out: str,
    *,
    address: str,
    n: int = 10,
    exclude_seen: bool = True,
    lower_bound: float = 0.0,
    titles: Path | None = None,
    insecure: bool = False,
    pairs_a_part: int = PAIRS_A_PART,
    reporter: Reporter = SILENT,
) -> int:
    """Write the top ``n`` items of all users to a folder or URI; return how many parts were made.

    ``model`` is the folder or URI of a model; the columns are those of `recommend_file`. Raises
    `UserError` if ``out`` has something else, or a node runs other code or does not see ``out``.
    """
    check_lower_bound(lower_bound)
    named = read_titles(titles) if titles else None
    copy = copy_of(str(model))
    loaded = model_of(copy)
    plan = Plan(
        model=digest(loaded.card),
        users=len(loaded.user_ids),
        users_a_part=max(1, min(MOST_USERS_A_PART, pairs_a_part // len(loaded.item_ids))),
        top=n,
        include_seen=not exclude_seen,
        lower_bound=lower_bound,
        titles=digest_of(titles) if titles else None,
    )
    place = out if storage.is_uri(out) else str(Path(out).resolve())
    missing = begin(place, plan)
    n_parts, kept = len(plan.names()), len(plan.names()) - len(missing)
    reporter.line(f"Plan: {plan.users:,} users in {n_parts} parts, {kept} of which are there")
    if missing:
        with connected(address, insecure=insecure):
            check_cluster(place, 1, 0, reporter.line)
            nodes = _score(copy, named, plan, place, missing, reporter)
        reporter.line(f"scored: {len(missing)} parts on {len(nodes)} nodes")
    return len(missing)


def _score(
    copy: Copy,
    titles: dict[str, str] | None,
    plan: Plan,
    place: str,
    missing: list[int],
    reporter: Reporter,
) -> set[str]:
    """Make the missing parts, with an actor for each CPU of the cluster; return the nodes used."""
    context = DataContext.get_current()
    verbose = LOGGER.isEnabledFor(logging.DEBUG)
    context.enable_progress_bars = context.print_on_execution_start = verbose
    context.raise_original_map_exception = True
    logging.getLogger("ray.data").setLevel(logging.INFO if verbose else logging.CRITICAL)
    size = COPIES * sum(len(content) for content in copy.files.values())
    most = max(node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"])
    scored = ray.data.from_items(
        [{"part": part} for part in missing], override_num_blocks=len(missing)
    ).map_batches(
        PartScorer,
        fn_constructor_args=(this_build(), ray.put(copy), ray.put(titles), plan, place),
        compute=ActorPoolStrategy(
            min_size=min(len(missing), max(1, int(cluster_cpus()))), max_size=len(missing)
        ),
        batch_size=1,
        num_cpus=1,
        memory=min(most, PROCESS_BYTES + size + 4 * 3 * SCORES_AT_ONCE),
    )
    nodes = set()
    try:
        with reporter.progress("recommend", len(missing)) as advance:
            for made in scored.iter_batches(batch_size=1):
                nodes.update(made["node"])
                advance()
    except KeyboardInterrupt:
        reporter.line("stopped: the same command makes the parts that are missing")
        raise
    except RayTaskError as error:  # the actor's own error, without Ray's frames and advice
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause).splitlines()[0]) from None
        raise error.cause from None
    except RayError as error:
        message = f"the cluster stopped scoring: {why(error)}"
        raise UserError(f"{message}; the same command makes the parts that are missing") from error
    return nodes


class PartScorer:
    """An actor that has the model, and writes the recommendations of a part of the users."""

    def __init__(
        self,
        driver: Build,
        copy: ray.ObjectRef,
        titles: ray.ObjectRef,
        plan: Plan,
        place: str,
    ) -> None:
        self._driver, self._copy, self._plan, self._place = driver, copy, plan, place
        self._titles = ray.get(titles)

    @cached_property
    def _model(self) -> LoadedModel:
        """The model, loaded with the first part: Ray loses the cause of a constructor's error."""
        if other := difference(self._driver, this_build()):  # a node that joined since the start
            raise UserError(f"node {socket.gethostname()} {other}")
        torch.set_num_threads(1)
        return model_of(ray.get(self._copy))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Write one part; return its number and this node."""
        (part,) = batch["part"]
        plan = self._plan
        first = part * plan.users_a_part
        users = list(self._model.user_ids.ids[first : first + plan.users_a_part])
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, schema_of(self._titles)) as writer:
            for table in recommended(
                self._model,
                users,
                plan.top,
                not plan.include_seen,
                "raise",
                plan.lower_bound,
                self._titles,
            ):
                writer.write(table)
        write_part(self._place, plan.names()[part], sink.getvalue().to_pybytes())
        return {**batch, "node": [ray.get_runtime_context().get_node_id()]}
