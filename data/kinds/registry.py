"""All kinds of columns: the class of a feature -> what is known of its kind."""

from collections.abc import Mapping

from data.kinds import boolean, category, date, image, label, number, sequence, tensor, text
from data.kinds.contract import Kind
from data.spec import Feature

KINDS: Mapping[type, Kind] = {
    kind.feature: kind
    for kind in (
        boolean.KIND,
        category.KIND,
        date.KIND,
        image.KIND,
        label.KIND,
        number.KIND,
        number.TARGET,
        sequence.KIND,
        tensor.KIND,
        text.KIND,
    )
}


def kind_of(feature: Feature) -> Kind:
    """Returns the kind of a feature."""
    return KINDS[type(feature)]
