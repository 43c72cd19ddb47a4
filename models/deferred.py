"""A package of others whose modules can be imported one by one, without all that its `__init__` imports."""

import importlib.util
import sys
import types


def defer(name: str) -> None:
    """Puts a package that was not imported yet in its place; its own code runs when something of it is asked for."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = importlib.util.module_from_spec(spec)
    package.__class__ = _Deferred
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


class _Deferred(types.ModuleType):
    """A package whose code has not run."""

    def __getattr__(self, name: str):
        if name.startswith("__"):  # the import system looks for those of a package that is there as well
            raise AttributeError(name)
        self.__class__ = types.ModuleType
        try:
            self.__spec__.loader.exec_module(self)
        except BaseException:
            self.__class__ = _Deferred
            raise
        return getattr(self, name)
