"""Names of metrics: those of a single class, and those that are shown where there are too many."""

from collections.abc import Collection, Iterable, Sequence

from models.evaluation import EXAMPLE_COUNT

OF_CLASS = "@"  # `recall@Shirt`: of one class against the others


def is_of_class(name: str) -> bool:
    """Whether a metric is of a single class, such as `recall@Shirt`."""
    return OF_CLASS in name


def of_class(metric: str, name: str) -> str:
    """Returns the name of a metric of a single class."""
    return f"{metric}{OF_CLASS}{name}"


def shown(computed: Iterable[str], usual: Collection[str] = ()) -> list[str]:
    """Returns the names of the computed metrics that are shown, on pages, in TensorBoard and in the terminal alike.

    First the usual ones, by which models of the task are compared, in their order; then those of all classes. The
    number of examples is no metric, and of single classes there may be thousands: of these the usual ones alone, such
    as the F1 of the second of two classes.
    """
    names = dict.fromkeys(name for name in computed if name != EXAMPLE_COUNT)
    first = [name for name in usual if name in names]
    return first + [name for name in names if name not in first and not is_of_class(name)]


def of_slices(slices: Iterable[Collection[str]], candidates: Sequence[str]) -> str | None:
    """Returns the metric by which slices are compared: the first of the candidates that every slice has.

    A slice of one class has no area under the ROC curve. Where no metric is of every slice, it is the first that any
    has; None without one.
    """
    slices = list(slices)
    for quantifier in (all, any):
        for name in candidates:
            if slices and quantifier(name in metrics for metrics in slices):
                return name
    return None
