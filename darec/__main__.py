"""``python -m darec`` is the ``darec`` command."""

from darec.cli.main import main

main()
