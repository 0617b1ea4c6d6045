"""The Python functions behind the commands; ``import darec`` exports most of them."""
