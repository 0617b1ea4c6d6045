"""One model's search on the machines there are: its share of them, what must hold, its studies."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from darec.models import MODELS
from darec.models.best import Best
from darec.tuning import memory, mirror, preflight, resources
from darec.tuning.lock import alone
from darec.tuning.resources import Slots
from darec.tuning.search import Settings
from darec.tuning.stages import Request, check_study, run_search

GIB = 2**30
Report = Callable[[str], object]


@dataclass(frozen=True)
class Wanted:
    """What each trial is to get, as asked for."""

    cpus: float
    gpus: float | None
    """None: what its memory needs, where there are GPUs."""
    at_once: int | None
    """Most trials at once; None: as many as there is room for."""
    joined: bool
    """Whether the cluster was there before: it may have several nodes, and an autoscaler."""


def computed_slots(request: Request, wanted: Wanted) -> Slots:
    """Return a trial's share, by computed memory; raises `UserError` where no node can give it."""
    gpus = 0.0 if MODELS[request.model].cpu_only else wanted.gpus
    needs = resources.trial_bytes(_weight_bytes(request), request.data.training)
    return _limited(request, wanted, gpus, needs)


def launch(
    request: Request,
    settings: Settings,
    wanted: Wanted,
    argv: list[str],
    resume: bool,
    report: Report,
) -> Best:
    """Check the cluster and the disk, measure a trial's memory, run all studies; the winner.

    Raises `UserError` when something does not hold, or another search writes there.
    """
    folder, storage = request.folder, request.storage

    def publish() -> None:
        if mirror.is_uri(storage):
            mirror.publish(folder, storage)

    with alone(folder, storage):
        if mirror.is_uri(storage):
            mirror.fetch(storage, folder)
        share = settings.slots
        check_study(request, settings, resume)
        if wanted.joined:
            preflight.check_cluster(storage, share.cpus, share.gpus, report)
        if share.gpus and wanted.gpus is None and not (folder / "best.json").is_file():
            share = _by_measured_memory(request, wanted, share, report)
            settings = replace(settings, slots=share)
        if not mirror.is_uri(storage):
            need = (share.concurrent + 2) * resources.checkpoint_bytes(_weight_bytes(request))
            preflight.check_disk(folder, preflight.LEAST_FREE + need)
        return run_search(request, settings, argv, resume, report, publish)


def _by_measured_memory(request: Request, wanted: Wanted, share: Slots, report: Report) -> Slots:
    """Return a trial's share by what its memory is on a GPU; where unknown, the computed one."""
    report("  memory     trying what the largest trial takes of a GPU")
    try:
        taken = memory.measured(request, share.cpus)
    except memory.UnknownError as error:
        report(f"  memory     not measured, {share.gpus:g} GPU each as computed: {error}")
        return share
    share = _limited(request, wanted, resources.gpu_share(taken.trial, taken.gpu), 0)
    takes = f"takes {taken.trial / GIB:.2f} of"
    if taken.trial >= taken.gpu:
        takes = "does not fit (narrow the space with --fix) into"
    report(
        f"  memory     the largest trial {takes} a GPU's {taken.gpu / GIB:.1f} GiB: "
        f"{share.gpus:g} GPU each, {share.concurrent} at once"
    )
    return share


def _limited(request: Request, wanted: Wanted, gpus: float | None, needs: int) -> Slots:
    share = resources.slots(wanted.cpus, gpus, request.budget.trials, needs, wanted.joined)
    return replace(share, concurrent=min(share.concurrent, wanted.at_once or share.concurrent))


def _weight_bytes(request: Request) -> int:
    per_unit, training = MODELS[request.model].per_unit, request.data.training
    return sum(
        resources.weight_bytes(each.space, each.fixed, training, per_unit)
        for each in (request.space, request.stage1)
        if each is not None
    )
