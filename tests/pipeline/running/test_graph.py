import pytest

pytestmark = pytest.mark.slow


def test_the_graph_of_digits(golden, tmp_path):
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.running import graph

    pipeline = graph.build(config.load("digits"), PipelinePaths.of(tmp_path, "digits"), "a run")

    lines = []
    for node in pipeline.components:
        inputs = {
            key: f"{channel.producer_component_id}.{channel.output_key}"
            for key, channels in node.inputs.items()
            for channel in [channels]
        }
        after = sorted(other.id for other in node.upstream_nodes)
        lines.append(f"{node.id} ({type(node).__name__}) after {', '.join(after) or 'nothing'}")
        lines += [f"  {key} <- {source}" for key, source in sorted(inputs.items())]
    golden("digits.graph.txt", "\n".join(lines) + "\n")
