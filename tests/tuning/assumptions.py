"""What the tests of `darec.tuning.private` share."""

from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from ray import tune

from darec.tuning import private

RELEASES = f"Ray {version('ray')} and Optuna {version('optuna')}"


@contextmanager
def relied_on_by(name, module=private):
    """Let a failed check name the function or constant of a file that relies on it."""
    assert hasattr(module, name)
    try:
        yield
    except Exception as error:
        told = f"mend {name} in {place_of(module)} for {RELEASES}: {error!r}"
        raise AssertionError(told) from error


def place_of(module):
    return f"{module.__name__.replace('.', '/')}.py"


class Tiny(tune.Trainable):
    """A trial of two steps; a negative ``x`` fails in the first."""

    def setup(self, config):
        self.x = config.get("x", 0.0)

    def step(self):
        if self.x < 0:
            raise ValueError("x is negative")
        return {"loss": self.x, "rows": [1], "done": self.iteration == 1}

    def save_checkpoint(self, folder):
        Path(folder, "state").write_text("state")

    def load_checkpoint(self, folder):
        pass
