"""The one exception a user can cause: a single line that names what is wrong."""


class UserError(Exception):
    """Bad input: one line naming the file, line, argument, rule and value; commands exit with 1."""
