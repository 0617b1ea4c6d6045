"""The exception for errors that the user can put right."""


class UserError(Exception):
    """An error whose message is one line: the file or argument, the rule, and what was found.

    The commands print the line and exit with code 1.
    """
