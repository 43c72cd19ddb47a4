"""The errors that a user can cause; each carries the exit code that `headrace` ends with."""


class HeadraceError(Exception):
    """An error that a user can cause: one sentence with what went wrong, where, and the fix."""

    exit_code = 1


class ConfigError(HeadraceError):
    """An invalid setting or argument."""

    exit_code = 2


class DataError(HeadraceError):
    """Data that must not be trained on, or that cannot be read."""

    exit_code = 3


class ModelError(HeadraceError):
    """A model that is not good enough for a gate."""

    exit_code = 4


class ServingError(HeadraceError):
    """An exported model that fails the serving check."""

    exit_code = 5


class LockError(HeadraceError):
    """Another run holds the lock of the pipeline."""

    exit_code = 6


class SourceUnavailable(HeadraceError):
    """A source does not have the data set; the next source is tried."""

    exit_code = 3
