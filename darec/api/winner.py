"""What a finished search says of its winner."""

from collections.abc import Mapping
from typing import Any

from darec.api.result import SearchResult
from darec.core.config import parse
from darec.data.scale import in_words
from darec.models import STACK
from darec.models.best import Best
from darec.models.stack import StackConfig
from darec.reporter import LOGGER, Reporter
from darec.tuning import storage
from darec.tuning.study.record import PAGE
from darec.tuning.study.trials_table import REJUDGED
from darec.tuning.trial.names import METRIC, flatten


def report_winner(result: SearchResult, reporter: Reporter) -> None:
    """Report the winner, its gaps to both baselines, its config and its warnings."""
    best, trials = result.best, result.trials
    reporter.line(
        f"\nWinner: trial {best.trial_id}, epoch {best.epoch}: validation RMSE "
        f"{best.valid_rmse:.4f}{in_words(best.scale)}"
    )
    if best.metric != "rmse":
        value = trials[METRIC].iloc[0]
        found = f"MAE {value:.4f}{in_words(best.scale)}"
        if best.metric == "ndcg@10":
            found = f"NDCG@10 {1 - value:.4f}"
        reporter.line(f"  selected by its validation {found}; by RMSE:")
    if REJUDGED in trials:
        n, first = int(trials[REJUDGED].notna().sum()), trials["best_valid_rmse"].idxmin() == 0
        reporter.line(
            f"  {'also' if first else 'not'} the best on the search's validation ratings; mean "
            f"validation RMSE {trials[REJUDGED].iloc[0]:.4f} on other divisions, the lowest of {n}"
        )
    baselines = {"bias": best.bias_valid_rmse, "hierarchical_bias": best.hierarchical_valid_rmse}
    for name, rmse in baselines.items():
        reporter.line(f"  {name:17} {rmse:.4f}: {_verdict(best.valid_rmse, rmse)}")
    if best.stage1_valid_rmse is not None:
        reporter.line(f"  validation RMSE of its own first stage: {best.stage1_valid_rmse:.4f}")
    for name, value in asked_for(best).items():
        reporter.line(f"  {name:28} {value}")
    edges = trials["at_edge"].iloc[0]
    if edges:
        LOGGER.warning(
            "the winner is at the edge of a range (%s); a wider one may be better", edges
        )
    if best.epoch == best.max_epochs > 1:
        LOGGER.warning("the winner's best epoch is its last; more --max-epochs may be better")
    reporter.line(f"files: {result.path}\npage:  {storage.join(result.path, PAGE)}")


def asked_for(best: Best) -> dict[str, Any]:
    """Return what the search drew or held fixed, with flat names.

    The other hyper-parameters have their defaults, which may not even be in use.
    """
    asked = {*best.space.drawn, *flatten(best.space.fixed)}
    return {name: value for name, value in flatten(best.config).items() if name in asked}


def chosen(best: Best) -> str:
    """Return the hyper-parameters that a search chose, or the members of a stack, as words."""
    if best.model == STACK:
        return parse(StackConfig, best.config).in_words
    values = flatten(best.config)
    drawn = {name: values[name] for name in best.space.drawn if name in values}
    shown = {n: f"{v:.3g}" if isinstance(v, float) else str(v) for n, v in drawn.items()}
    return ", ".join(f"{name}={text}" for name, text in shown.items()) or "nothing to choose"


def gaps(own: float, baselines: Mapping[str, float]) -> list[str]:
    """Say how far an RMSE lies below or above each baseline."""
    return [
        f"{abs(rmse - own):.4f} {'below' if own < rmse else 'above'} {name} ({rmse:.4f})"
        for name, rmse in baselines.items()
    ]


def _verdict(rmse: float, baseline: float) -> str:
    """Say how a winner's RMSE compares with that of a baseline."""
    if round(rmse, 4) == round(baseline, 4):
        return "the winner is level with it"
    word = "beats" if rmse < baseline else "loses to"
    return f"the winner {word} it by {abs(rmse - baseline):.4f}"
