"""One Python function under each command; ``import darec`` offers them all."""
