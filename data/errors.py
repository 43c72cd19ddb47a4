"""The errors that a user can cause; each carries the exit code that `headrace` ends with."""


class HeadraceError(Exception):
    """One sentence that says what went wrong, where, and how to mend it."""

    exit_code = 1


class ConfigError(HeadraceError):
    """A setting or an argument that cannot be used."""

    exit_code = 2


class DataError(HeadraceError):
    """Data that must not be trained on, or that cannot be read."""

    exit_code = 3


class ModelError(HeadraceError):
    """A model that did not reach what was asked of it."""

    exit_code = 4


class ServingError(HeadraceError):
    """A model that does not answer as it should once it is exported."""

    exit_code = 5


class LockError(HeadraceError):
    """Another run holds the pipeline."""

    exit_code = 6


class SourceUnavailable(HeadraceError):
    """One place to look for a data set does not have it; the next one is tried."""

    exit_code = 3
