"""Deferred imports of packages that a run's libraries import at start-up, and a run uses later or never."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types

# Name -> whether its modules can be imported one by one, without all that its `__init__` imports.
_UNUSED = {
    "tfx.components": True,  # all components, with Kubernetes and KerasTuner; we use the Trainer only
    "tensorflow_model_analysis": True,  # TFX: for the name of a message only
    "tensorflow_model_analysis.sdk": False,
    "tensorflow_data_validation": True,  # its code draws in notebooks; we use its modules
    "tensorflow_data_validation.utils.mutual_information_util": False,  # imports scikit-learn
    "IPython": True,  # Keras and Beam: if installed
    "matplotlib": True,  # Keras: if installed; plots are drawn after training
    "matplotlib.pyplot": False,
    "matplotlib.patches": False,
    "keras.wrappers": False,  # Keras models as scikit-learn estimators; they import scikit-learn
    "keras._tf_keras.keras.wrappers": False,
    "google.cloud.dataflow": False,  # Beam: if installed, as the next three
    "google.cloud.bigquery": False,
    "google.cloud.bigquery_storage_v1": False,
    "google.cloud.pubsub": False,
    "googleapiclient.discovery": False,  # TensorFlow: training on Google's machines
}


def defer_unused() -> None:
    """Defers the packages that a run does not need at start-up; those imported already, or not installed, are left."""
    for name, alone in _UNUSED.items():
        defer(name, alone=alone)
    _add_imported_names()


def _add_imported_names() -> None:
    """Adds the names to deferred packages that other packages import from them, which would run their code."""
    import tensorflow_data_validation as tfdv
    import tensorflow_model_analysis.sdk as sdk

    if isinstance(tfdv, _Deferred):
        import tensorflow_data_validation.constants  # its other modules import both from the package
        import tensorflow_data_validation.types
        from tensorflow_data_validation.utils.stats_util import DatasetListView

        vars(tfdv)["DatasetListView"] = DatasetListView
    if isinstance(sdk, _Deferred):
        import google.protobuf.wrappers_pb2  # noqa: F401  (TFMA's messages are made of it, and do not import it)
        from tensorflow_model_analysis.proto import config_pb2

        vars(sdk).update({name: value for name, value in vars(config_pb2).items() if not name.startswith("_")})
    with contextlib.suppress(ModuleNotFoundError):
        import IPython

        if isinstance(IPython, _Deferred):  # Beam calls it at each step of a pipeline: no session runs this process
            vars(IPython)["get_ipython"] = lambda: None


def defer(name: str, *, alone: bool = False) -> None:
    """Defers a package or module: the next import binds its name, and its code runs at the first access.

    Args:
        name: Dotted name; nothing happens where it was imported already.
        alone: Whether its submodules can be imported without running its own code.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.names[name] = alone


class _Finder(importlib.abc.MetaPathFinder):
    """Finds deferred packages and modules.

    Attributes:
        names: Dotted name -> `alone`, see `defer`.
    """

    def __init__(self):
        self.names: dict[str, bool] = {}

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader, alone=self.names[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    """Creates a module whose code its own loader runs later."""

    def __init__(self, loader: importlib.abc.Loader, *, alone: bool):
        self._loader, self._alone = loader, alone

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        if not self._alone:
            vars(module).pop("__path__", None)  # the import of a submodule accesses it first, and so runs the code
        module.__class__ = _Deferred


class _Deferred(types.ModuleType):
    """A package or module whose code has not run."""

    def __getattr__(self, name: str):
        # The import system accesses the others without using the package.
        if name.startswith("__") and name not in ("__all__", "__path__"):
            raise AttributeError(name)
        self.__class__ = types.ModuleType
        folders = self.__spec__.submodule_search_locations
        if folders is not None:
            self.__path__ = folders
        try:
            self.__spec__.loader.exec_module(self)
        except BaseException:
            self.__class__ = _Deferred
            raise
        return getattr(self, name)


_FINDER = _Finder()
