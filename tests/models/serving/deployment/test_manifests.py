import json

import yaml
from google.protobuf import text_format

from models.serving.deployment import manifests
from models.serving.protocol import config_files
from models.serving.rollout.rollouts import Canary, Rollout


def test_deployment_files_are_valid_for_docker_kubernetes_and_tf_serving(tmp_path):
    files = manifests.files({"m": Rollout(1, canary=Canary(2, 12.5)), "n": Rollout()}, tmp_path)

    config = text_format.Parse(files["models.config"], config_files.ModelServerConfig())
    assert [model.base_path for model in config.model_config_list.config] == ["/models/m", "/models/n"]
    assert dict(config.model_config_list.config[0].version_labels) == {"stable": 1, "canary": 2}
    batching = text_format.Parse(files["batching.config"], config_files.BatchingParameters())
    assert batching.max_batch_size.value == 128
    monitoring = text_format.Parse(files["monitoring.config"], config_files.MonitoringConfig())
    assert monitoring.prometheus_config.enable
    compose = yaml.safe_load(files["docker-compose.yaml"])
    assert f"{tmp_path}:/models:ro" in compose["services"]["serving"]["volumes"]
    kinds = [document["kind"] for document in yaml.safe_load_all(files["kubernetes.yaml"])]
    assert kinds == ["PersistentVolumeClaim", "ConfigMap", "Deployment", "Service"]
    assert "12.5% canary;" in files["nginx.conf"]
    assert json.dumps(compose)
