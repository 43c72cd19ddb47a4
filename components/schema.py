"""The schema that the data is held against: kept by people, or what follows from a data set's features."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Schema

from components.artifact_files import SCHEMA
from data.spec import CategoryFeature, DatasetSpec, LabelFeature


@component
def CuratedSchema(schema: OutputArtifact[Schema], text: Parameter[str], fingerprint: Parameter[str]):
    """Brings a schema that people keep in version control, or that follows from a run file, into the pipeline."""
    # Stock ImportSchemaGen keys its cache on a path: an edited schema would go unnoticed.
    SCHEMA.path(schema.uri).write_text(text)


def schema_text(spec: DatasetSpec) -> str:
    """Returns the TFDV schema, as text proto, that follows from a data set's features."""
    schema = schema_pb2.Schema()
    for name, feature in spec.features.items():
        one = schema.feature.add(name=name, type=schema_pb2.FeatureType.Value(feature.stored.upper()))
        if feature.optional:  # also in all rows of a small split
            one.value_count.min = one.value_count.max = 1
        else:
            one.presence.min_count, one.presence.min_fraction = 1, 1.0
            one.shape.SetInParent()
        if isinstance(feature, LabelFeature):
            one.int_domain.min, one.int_domain.max = 0, len(feature.classes) - 1
            one.int_domain.is_categorical = True
        elif isinstance(feature, CategoryFeature) and feature.values:
            one.string_domain.value.extend(feature.values)
        elif feature.stored == "float":
            one.float_domain.disallow_nan = one.float_domain.disallow_inf = True
            for bound in ("min", "max"):
                if getattr(feature, bound, None) is not None:
                    setattr(one.float_domain, bound, getattr(feature, bound))
    return text_format.MessageToString(schema)
