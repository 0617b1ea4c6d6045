"""Checks the machines before a search starts, and decides the resources of a trial."""

import math
from dataclasses import replace

from darec.errors import UserError
from darec.reporter import LOGGER, Reporter
from darec.tuning import storage
from darec.tuning.cluster import gpu_memory, preflight, shares
from darec.tuning.cluster.shares import Slots, Wanted
from darec.tuning.durability.retention import kept_trials
from darec.tuning.study.decay import is_large
from darec.tuning.study.in_order import LAG, lag_for
from darec.tuning.study.record import load_study
from darec.tuning.study.request import Request, largest_config, largest_trial, n_weights
from darec.tuning.study.sizes import fitted, size_that_fits
from darec.tuning.trial.travel import send_by_value

GIB = 2**30


def fitted_to_machine(request: Request, wanted: Wanted) -> Request:
    """Return the request with sizes whose largest trial fits into memory and onto the disk.

    On large pairs, trials with small checkpoints are preferred, but not in the paper's search.
    A reproducible search does not depend on the machine.
    """
    memory, free = shares.node_memory(wanted), _free(request)
    if request.reproducible:
        memory = free = math.inf
    limited = is_large(request.data) and not request.paper
    largest = shares.LARGEST_CHECKPOINTS if limited else math.inf

    def fits(smaller: Request) -> bool:
        return _memory_of(smaller) <= memory and checkpoints_of(smaller).bytes_of(1) <= free

    def is_small(smaller: Request) -> bool:
        return checkpoints_of(smaller).of_trial <= largest

    return fitted(request, fits, preferred=is_small)


def checkpoints_of(request: Request) -> shares.Checkpoints:
    """Return what the checkpoints of the largest trials take on disk."""
    kept, paused = kept_trials(request.rejudge), LAG - 1 if request.reproducible else 0
    return shares.checkpoints(n_weights(request), kept, request.kind.whole_fit, paused)


def _check_disk(request: Request, share: Slots) -> None:
    """Raise `UserError`, naming a size that fits, if the disk has no room for checkpoints."""

    def need(smaller: Request) -> int:
        return checkpoints_of(smaller).bytes_of(share.concurrent)

    free, now, remedy = _free(request), need(request), ""
    if now > free and (found := size_that_fits(request, lambda r: need(r) <= free)):
        remedy = f"; --fix {found[0]}={found[1]} fits"
    preflight.check_disk(request.folder, preflight.LEAST_FREE + now, remedy)


def _check_memory(request: Request, wanted: Wanted) -> None:
    """Raise `UserError`, naming a size that fits, if no node can hold a trial's weights.

    A trial needs at least the memory of one checkpoint. If it may need more than a node has,
    `shares.slots` warns, and the search still starts.
    """
    most, least = shares.node_memory(wanted), checkpoints_of(request).n_bytes
    if least <= most:
        return
    found = size_that_fits(request, lambda smaller: _memory_of(smaller) <= most)
    remedy = f"; --fix {found[0]}={found[1]} fits" if found else ""
    raise UserError(
        f"the weights and moments of a trial may take {least / GIB:.1f} GiB of memory, but the "
        f"largest node has {most / GIB:.1f} GiB for trials{remedy}"
    )


def _free(request: Request) -> float:
    """Return the bytes of disk that checkpoints may take; a URI has no limit."""
    if storage.is_uri(request.storage):
        return math.inf
    return preflight.free_bytes(request.folder) - preflight.LEAST_FREE


def computed_share(request: Request, wanted: Wanted) -> Slots:
    """Return a trial's share, by computed memory; raises `UserError` if no node can give it."""
    _check_memory(request, wanted)
    if request.kind.cpu_only or request.reproducible:
        wanted = replace(wanted, gpus=0.0)
    need = _memory_of(request)
    share = _on_disk(request, shares.slots(wanted, request.budget.trials, need))
    LOGGER.debug("a trial needs at most %.2f GiB and gets %s", need / GIB, share)
    return share


def _on_disk(request: Request, share: Slots) -> Slots:
    """Return a share of as many trials at once as the disk has room for."""
    room = checkpoints_of(request).at_once(_free(request))
    return replace(share, concurrent=min(share.concurrent, room))


def checked_share(request: Request, wanted: Wanted, share: Slots, reporter: Reporter) -> Slots:
    """Check every node and the disk, and return a trial's share, on GPUs by measured memory.

    Raises `UserError` when a check fails.
    """
    if wanted.joined:
        preflight.check_cluster(request.storage, share.cpus, share.gpus, reporter.line)
    preflight.check_gpus(share.gpus)
    if share.gpus and wanted.gpus is None and not (request.folder / "best.json").is_file():
        share = _measured_share(request, wanted, share, reporter)
    if not storage.is_uri(request.storage):
        _check_disk(request, share)
    return share


def lag_of(request: Request, at_once: int) -> int | None:
    """Return the lag of a reproducible search, a recorded one if it is resumed; else None.

    ``at_once`` is how many trials may run at once.
    """
    if not request.reproducible:
        return None
    if (request.folder / "study.json").exists():
        return load_study(request.folder, request.storage).lag
    return lag_for(at_once, request.budget.trials)


def _memory_of(request: Request) -> int:
    return shares.memory_of(request.kind, largest_config(request), request.data.training)


def _measured_share(request: Request, wanted: Wanted, share: Slots, reporter: Reporter) -> Slots:
    """Return a trial's share by its measured memory, or the computed share if that failed."""
    reporter.line("  memory     measuring the GPU memory of the largest trial")
    config, kind = largest_trial(request, gpu_memory.EPOCHS), send_by_value(request.kind)
    try:
        memory = gpu_memory.measured(kind, config, request.data, share.cpus, request.metric)
    except gpu_memory.UnknownMemoryError as error:
        reporter.line(f"  memory     not measured, {share.gpus:g} GPU each as computed: {error}")
        return share
    gpus = shares.gpu_share(memory.trial, memory.gpu)
    share = shares.slots(replace(wanted, gpus=gpus), request.budget.trials, _memory_of(request))
    share = _on_disk(request, share)
    takes = f"takes {memory.trial / GIB:.2f} of"
    if memory.trial >= memory.gpu:
        takes = "does not fit (narrow the space with --fix) into"
    reporter.line(
        f"  memory     the largest trial {takes} a GPU's {memory.gpu / GIB:.1f} GiB: "
        f"{share.gpus:g} GPU each, {share.concurrent} at once"
    )
    return share
