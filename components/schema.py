"""The schema that the data is validated against: curated by people, or derived from a data set's features."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Schema

from components.artifact_files import SCHEMA
from data.spec import DatasetSpec, LabelFeature


@component
def CuratedSchema(schema: OutputArtifact[Schema], text: Parameter[str], fingerprint: Parameter[str]):
    """Writes the schema as an artifact: one that people keep in version control, or one derived from a run file."""
    # TFX's ImportSchemaGen has the file's path in its cache key: an edited schema would go unnoticed.
    SCHEMA.path(schema.uri).write_text(text)


def schema_text(spec: DatasetSpec) -> str:
    """Returns the TFDV schema, as text proto, derived from a data set's features."""
    schema = schema_pb2.Schema()
    for name, feature in spec.features.items():
        schema_feature = schema.feature.add(name=name, type=schema_pb2.FeatureType.Value(feature.stored.upper()))
        if feature.optional:  # also in all rows of a small split
            schema_feature.value_count.min = 1
        else:
            schema_feature.presence.min_count, schema_feature.presence.min_fraction = 1, 1.0
        if feature.is_list:
            schema_feature.value_count.min = 1
        elif feature.optional:
            schema_feature.value_count.max = 1
        else:
            schema_feature.shape.SetInParent()
        if isinstance(feature, LabelFeature):
            schema_feature.int_domain.min, schema_feature.int_domain.max = 0, len(feature.classes) - 1
            schema_feature.int_domain.is_categorical = True
        elif getattr(feature, "values", ()):
            schema_feature.string_domain.value.extend(feature.values)
        elif feature.stored == "float":
            schema_feature.float_domain.disallow_nan = schema_feature.float_domain.disallow_inf = True
            for bound in ("min", "max"):
                if getattr(feature, bound, None) is not None:
                    setattr(schema_feature.float_domain, bound, getattr(feature, bound))
    return text_format.MessageToString(schema)
