"""Stand-ins for the trials that Tune gives to callbacks."""

from types import SimpleNamespace


def failed(error, tmp_path, **share):
    """Return a trial that Tune is about to start again; ``shares`` notes what it is given."""
    trial = SimpleNamespace(trial_id="a", error_file=str(tmp_path / "error.txt"), shares=[])
    stack = 'ray::Trial.train()\n  File "a.py", line 1, in step\n    multiply()\n'
    (tmp_path / "error.txt").write_text(f"Failure # 1 (occurred at noon)\n{stack}{error}\n")
    trial.run_metadata = SimpleNamespace(num_failures=1)
    trial.placement_group_factory = SimpleNamespace(required_resources=share)
    trial.update_resources = trial.shares.append
    return trial


class LoggedTrial:
    """What Tune's loggers read of a trial."""

    trial_id, checkpoint = "a", None

    def __init__(self, folder):
        self.local_path = str(folder)
        self.config = self.evaluated_params = {"x": 1.0}

    def init_local_path(self):
        pass
