import json

import yaml
from google.protobuf import text_format

from models.serving.deployment import manifests
from models.serving.protocol import config_files
from models.serving.rollout.rollouts import Canary, Rollout


def test_the_deployment_is_what_docker_kubernetes_and_tf_serving_can_read(tmp_path):
    found = manifests.files({"m": Rollout(1, canary=Canary(2, 12.5)), "n": Rollout()}, tmp_path)

    config = text_format.Parse(found["models.config"], config_files.ModelServerConfig())
    assert [one.base_path for one in config.model_config_list.config] == ["/models/m", "/models/n"]
    assert dict(config.model_config_list.config[0].version_labels) == {"stable": 1, "canary": 2}
    batching = text_format.Parse(found["batching.config"], config_files.BatchingParameters())
    assert batching.max_batch_size.value == 128
    monitoring = text_format.Parse(found["monitoring.config"], config_files.MonitoringConfig())
    assert monitoring.prometheus_config.enable
    compose = yaml.safe_load(found["docker-compose.yaml"])
    assert f"{tmp_path}:/models:ro" in compose["services"]["serving"]["volumes"]
    kinds = [one["kind"] for one in yaml.safe_load_all(found["kubernetes.yaml"])]
    assert kinds == ["PersistentVolumeClaim", "ConfigMap", "Deployment", "Service"]
    assert "12.5% canary;" in found["nginx.conf"]
    assert json.dumps(compose)
