"""A `Reporter` that remembers what it was told."""

from contextlib import contextmanager


class Recorder:
    """Keeps every line, table and progress bar."""

    def __init__(self):
        self.lines, self.tables, self.bars = [], [], []

    def line(self, text):
        self.lines.append(text)

    def table(self, title, table):
        self.tables.append((title, table))

    @contextmanager
    def progress(self, label, total):
        done = []
        self.bars.append((label, total, done))
        yield lambda: done.append(1)

    def has(self, text):
        return any(text in line for line in self.lines)


def printed(capfd):
    """What was printed, without what Ray's own processes say of themselves."""
    return [line for line in capfd.readouterr().out.splitlines() if "(raylet)" not in line]
