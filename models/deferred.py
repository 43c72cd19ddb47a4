"""Packages of others that a run's libraries import at their start, and it uses later or never."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types

# Name -> whether its modules can be imported one by one, without all that its `__init__` imports.
_UNUSED = {
    "tfx.components": True,  # all components, with Kubernetes and KerasTuner; we take the Trainer alone
    "tensorflow_model_analysis": True,  # TFX: for the name of a message
    "tensorflow_model_analysis.sdk": False,
    "tensorflow_data_validation": True,  # draws in notebooks; we take its modules
    "tensorflow_data_validation.utils.mutual_information_util": False,  # imports scikit-learn
    "IPython": True,  # Keras and Beam: if there
    "matplotlib": True,  # Keras: if there; plots are drawn after training
    "matplotlib.pyplot": False,
    "matplotlib.patches": False,
    "keras.wrappers": False,  # Keras as a model of scikit-learn, which is imported for them
    "keras._tf_keras.keras.wrappers": False,
    "google.cloud.dataflow": False,  # Beam: if there, as the next three
    "google.cloud.bigquery": False,
    "google.cloud.bigquery_storage_v1": False,
    "google.cloud.pubsub": False,
    "googleapiclient.discovery": False,  # TensorFlow: training on Google's machines
}


def defer_unused() -> None:
    """Defers all that a run can do without at its start; what was imported already, or is not installed, stays so."""
    for name, alone in _UNUSED.items():
        defer(name, alone=alone)
    _give_what_is_named()


def _give_what_is_named() -> None:
    """Gives the deferred packages what others name while they are imported, which would run them."""
    import tensorflow_data_validation as tfdv
    import tensorflow_model_analysis.sdk as sdk

    if isinstance(tfdv, _Deferred):
        import tensorflow_data_validation.constants  # its other modules take both of the package
        import tensorflow_data_validation.types
        from tensorflow_data_validation.utils.stats_util import DatasetListView

        vars(tfdv)["DatasetListView"] = DatasetListView
    if isinstance(sdk, _Deferred):
        import google.protobuf.wrappers_pb2  # noqa: F401  (TFMA's messages are made of it, and do not import it)
        from tensorflow_model_analysis.proto import config_pb2

        vars(sdk).update({name: value for name, value in vars(config_pb2).items() if not name.startswith("_")})
    with contextlib.suppress(ModuleNotFoundError):
        import IPython

        if isinstance(IPython, _Deferred):  # which asks is not run by it: Beam asks at each of a pipeline's steps
            vars(IPython)["get_ipython"] = lambda: None


def defer(name: str, *, alone: bool = False) -> None:
    """Has the next import of a package or module put it in its place; its code runs when something of it is asked for.

    Args:
        name: Dotted name; nothing happens where it was imported already.
        alone: Whether modules of it are imported without its own code: for packages that do not mind.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.names[name] = alone


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what is deferred.

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
    """Leaves the code of a module to be run later by its own loader."""

    def __init__(self, loader: importlib.abc.Loader, *, alone: bool):
        self._loader, self._alone = loader, alone

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        if not self._alone:
            vars(module).pop("__path__", None)  # who imports a module of it asks for this first
        module.__class__ = _Deferred


class _Deferred(types.ModuleType):
    """A package whose code has not run."""

    def __getattr__(self, name: str):
        # The import system looks for the others of a package that is there as well.
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
