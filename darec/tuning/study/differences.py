"""What a message says when a search cannot be continued as it is asked for.

Nothing heavy is imported, so that a command can refuse at once.
"""

from typing import Any

REASONS = {
    "--max-epochs": "the epochs at which trials were compared, or ended, depend on it",
    "--stage1-trials": "the second stage has the winners of the first",
    "--time-budget": "its studies ended by it, or have shares of it",
}
"""Why a search cannot go on with another value."""
LONGEST = 24
"""Most characters of a value that a message shows."""


def unlike(option: str, there: Any, here: Any) -> str:
    """Return what a message says of an option whose value differs from that of the search there."""
    message = f"the search there has {_shown(there)}, but you asked for {_shown(here)}"
    if option in REASONS:
        message += f" ({REASONS[option]})"
    remedy = "use the recorded value, or start another search with another --out"
    if option in REASONS:
        remedy += "; with --warm-start it tries the present winner first"
    return f"--resume needs the same {option}: {message}; {remedy}"


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = "nothing" if value is None else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
