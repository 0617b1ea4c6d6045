"""``python -m darec`` is the ``darec`` command."""

from darec.cli.main import main

if __name__ == "__main__":
    main()
