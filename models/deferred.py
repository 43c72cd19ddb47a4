"""Packages of others that a run's libraries import at their start, and it uses later or never."""

import contextlib
import importlib.machinery
import importlib.util
import sys
import types

# Name -> whether its modules can be imported one by one, without all that its `__init__` imports.
_UNUSED = {
    "tfx.components": True,  # all components, with Kubernetes and KerasTuner; we take the Trainer alone
    "tensorflow_model_analysis": True,  # TFX: for the name of a message
    "tensorflow_model_analysis.sdk": False,
    "tensorflow_data_validation": True,  # draws in notebooks; we take its modules
    "IPython": False,  # Keras: if there
    "matplotlib": True,  # Keras: if there; plots are drawn after training
    "matplotlib.pyplot": False,
    "matplotlib.patches": False,
    "google.cloud.bigquery": False,  # Beam: if there
    "google.cloud.bigquery_storage_v1": False,
    "google.cloud.pubsub": False,
    "googleapiclient.discovery": False,  # TensorFlow: training on Google's machines
}


def defer_unused() -> None:
    """Defers all that a run can do without at its start; what was imported already, or is not installed, stays so."""
    for name, alone in _UNUSED.items():
        if name not in sys.modules:
            with contextlib.suppress(ModuleNotFoundError):
                defer(name, alone=alone)
    _give_what_tfx_names()


def _give_what_tfx_names() -> None:
    """Gives the deferred packages what TFX's modules name while they are imported, which would run them."""
    tfdv, sdk = (sys.modules.get(name) for name in ("tensorflow_data_validation", "tensorflow_model_analysis.sdk"))
    if isinstance(tfdv, _Deferred):
        import tensorflow_data_validation.constants  # its other modules take both of the package
        import tensorflow_data_validation.types  # noqa: F401
        from tensorflow_data_validation.utils.stats_util import DatasetListView

        vars(tfdv)["DatasetListView"] = DatasetListView
    if isinstance(sdk, _Deferred):
        import google.protobuf.wrappers_pb2  # noqa: F401  (TFMA's messages are made of it, and do not import it)
        from tensorflow_model_analysis.proto import config_pb2

        vars(sdk).update({name: value for name, value in vars(config_pb2).items() if not name.startswith("_")})


def defer(name: str, *, alone: bool = False) -> None:
    """Puts a package or module that was not imported yet in its place; its code runs when something of it is asked for.

    Args:
        name: Dotted name of the package; its parent was imported or deferred.
        alone: Whether modules of it are imported without its own code: for packages that do not mind.
    """
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:  # not by find_spec, which would ask a deferred parent for its path
        spec = importlib.machinery.PathFinder.find_spec(name, sys.modules[parent].__spec__.submodule_search_locations)
    else:
        spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = importlib.util.module_from_spec(spec)
    if not alone:
        package.__dict__.pop("__path__", None)  # who imports a module of it asks for this first
    package.__class__ = _Deferred
    sys.modules[name] = package
    if parent:
        setattr(sys.modules[parent], child, package)


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
