"""A `Reporter` that remembers what it was told."""

from contextlib import contextmanager


class Recorder:
    """Keeps every line, table, progress bar and view of a study."""

    def __init__(self):
        self.lines, self.tables, self.bars, self.views = [], [], [], []

    def line(self, text):
        self.lines.append(text)

    def table(self, title, table):
        self.tables.append((title, table))

    @contextmanager
    def progress(self, label, total):
        done = []
        self.bars.append((label, total, done))
        yield lambda: done.append(1)

    @contextmanager
    def study(self):
        yield self.views.append

    def has(self, text):
        return any(text in line for line in self.lines)


def printed(capfd):
    """What was printed, without what Ray's own processes say of themselves."""
    return [line for line in capfd.readouterr().out.splitlines() if "(raylet)" not in line]
