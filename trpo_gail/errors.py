"""The one exception for what a user can get wrong: a single clear line, exit code 2, no traceback."""


class UserError(ValueError):
    """A mistake in a flag, a file or an environment; the message names the value, the file and the field."""
