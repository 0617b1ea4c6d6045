"""The exception for what a user did wrong, or can put right."""


class UserError(Exception):
    """One line that names what is wrong: the file and line or the argument, the rule, the value.

    The commands print the line and exit with code 1.
    """
