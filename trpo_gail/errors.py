"""The exceptions whose message is all that a person needs: one clear line, no traceback."""


class UserError(ValueError):
    """A mistake in a flag, a file or an environment; the message names the value, the file and the field. Exit code 2."""


class RunError(RuntimeError):
    """What ends a run under way, such as a number that is not finite or an environment that fails. Exit code 1.

    It may be raised on one rank alone: the command line then names the rank and ends all of them.
    """


class Answered(SystemExit):
    """The parser of flags has printed what was asked for, such as --help. Any other SystemExit is somebody's mistake."""
