"""A home folder for a command whose user has none, such as a mere number in a container."""

import atexit
import os
import shutil
import tempfile


def give_home() -> None:
    """Let this process and its children use a scratch folder as their home, unless there is one.

    Ray asks for a home when it is imported. Other libraries would keep caches in a folder named
    ``~``. The scratch folder is deleted when the process ends.
    """
    if os.path.expanduser("~") == "~":
        folder = tempfile.mkdtemp(prefix="darec-home-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["HOME"] = folder
