"""Deployment files for TensorFlow Serving: model configs, Docker Compose, Kubernetes, an nginx proxy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from models.serving.deployment.process import IMAGE
from models.serving.rollout.rollouts import Rollout, config_list

GRPC_PORT, REST_PORT, PROXY_PORT = 8500, 8501, 8080
CONFIGS, MODELS = "/config", "/models"
NAME, CLAIM = "headrace-serving", "headrace-models"
LABELS = {"app": NAME}
BATCHING = """max_batch_size { value: 128 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
"""
MONITORING = """prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def files(rollouts: Mapping[str, Rollout], serving: Path) -> dict[str, str]:
    """Returns the deployment files, file name -> content.

    Args:
        rollouts: Pipeline -> its rollout.
        serving: Folder of all pipelines' versions; mounted as `/models` in a container.
    """
    configs = {
        "models.config": config_list(rollouts, Path(MODELS)),
        "batching.config": BATCHING,
        "monitoring.config": MONITORING,
    }
    return {
        **configs,
        "docker-compose.yaml": _yaml(compose(serving)),
        "kubernetes.yaml": _yaml(*kubernetes(configs, next(iter(rollouts), "model"))),
        "nginx.conf": nginx(rollouts),
    }


def flags(folder: str = CONFIGS) -> list[str]:
    """Returns TF Serving's flags for the three config files in `folder`."""
    return [
        f"--port={GRPC_PORT}",
        f"--rest_api_port={REST_PORT}",
        f"--model_config_file={folder}/models.config",
        "--model_config_file_poll_wait_seconds=10",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        f"--batching_parameters_file={folder}/batching.config",
        f"--monitoring_config_file={folder}/monitoring.config",
    ]


def compose(serving: Path) -> dict[str, Any]:
    """Returns a Compose file: TF Serving, and an nginx that routes a share of the REST requests to a canary."""
    return {
        "services": {
            "serving": {
                "image": IMAGE,
                "command": flags(),
                "ports": [f"127.0.0.1:{port}:{port}" for port in (GRPC_PORT, REST_PORT)],
                "volumes": [f"{serving}:{MODELS}:ro", f".:{CONFIGS}:ro"],
                "restart": "unless-stopped",
                "read_only": True,
                "tmpfs": ["/tmp"],
            },
            "proxy": {
                "image": "nginx:1.27-alpine",
                "ports": [f"127.0.0.1:{PROXY_PORT}:{PROXY_PORT}"],
                "volumes": ["./nginx.conf:/etc/nginx/nginx.conf:ro"],
                "depends_on": ["serving"],
                "restart": "unless-stopped",
            },
        }
    }


def kubernetes(configs: Mapping[str, str], model: str) -> list[dict[str, Any]]:
    """Returns a PersistentVolumeClaim for the models, a ConfigMap, a Deployment and a Service.

    Args:
        configs: TF Serving's config files, name -> content.
        model: The model whose status is the readiness probe.
    """
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM},
            "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "10Gi"}}},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": dict(configs)},
        _deployment(model),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {
                "selector": LABELS,
                "ports": [
                    {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc"},
                    {"name": "rest", "port": REST_PORT, "targetPort": "rest"},
                ],
            },
        },
    ]


def _deployment(model: str) -> dict[str, Any]:
    """Returns a Deployment of two servers, with annotations for Prometheus."""
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(REST_PORT),
        "prometheus.io/path": "/monitoring/prometheus/metrics",
    }
    volumes = [
        {"name": "models", "persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True}},
        {"name": "config", "configMap": {"name": NAME}},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS, "annotations": scrape},
                "spec": {"containers": [_container(model)], "volumes": volumes},
            },
        },
    }


def _container(model: str) -> dict[str, Any]:
    """Returns TF Serving's container, with the status of `model` as readiness probe."""
    return {
        "name": "serving",
        "image": IMAGE,
        "args": flags(),
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT},
            {"name": "rest", "containerPort": REST_PORT},
        ],
        "readinessProbe": {"httpGet": {"path": f"/v1/models/{model}", "port": "rest"}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS, "readOnly": True},
            {"name": "config", "mountPath": CONFIGS, "readOnly": True},
        ],
    }


def nginx(rollouts: Mapping[str, Rollout]) -> str:
    """Returns an nginx config that sends requests without a version to `stable`, or a percentage of them to `canary`.

    A request that fails on the canary, also because the canary has ended, is sent again to `stable`. REST only: the
    label of a gRPC request is inside the message, which a proxy does not parse.
    """
    splits, locations = [], []
    for index, (name, rollout) in enumerate(rollouts.items()):
        if rollout.stable is None:
            continue  # without labels the newest version answers
        location = f"location ~ ^/v1/models/{name}:(?<verb>classify|regress|predict)$"
        model = f"http://serving:{REST_PORT}/v1/models/{name}/labels"
        if rollout.canary is None:
            locations.append(f"    {location} {{ proxy_pass {model}/stable:$verb; }}\n")
            continue
        splits.append(_SPLIT.format(index=index, percent=rollout.canary.percent))
        locations.append(_CANARY.format(location=location, index=index, model=model))
    return _NGINX.format(splits="".join(splits), locations="".join(locations), port=PROXY_PORT, rest_port=REST_PORT)


_SPLIT = """  split_clients "$request_id" $label_{index} {{
    {percent:g}% canary;
    * stable;
  }}
"""
_CANARY = """    {location} {{ rewrite ^ /$label_{index}/{index} last; }}
    location = /canary/{index} {{
      internal;
      proxy_intercept_errors on;
      error_page 400 404 500 501 502 503 504 = @stable_{index};
      proxy_pass {model}/canary:$verb;
    }}
    location = /stable/{index} {{ internal; proxy_pass {model}/stable:$verb; }}
    location @stable_{index} {{ proxy_pass {model}/stable:$verb; }}
"""
_NGINX = """events {{}}
http {{
{splits}  resolver 127.0.0.11;
  client_max_body_size 64m;
  server {{
    listen {port};
{locations}    location / {{ proxy_pass http://serving:{rest_port}; }}
  }}
}}
"""


def _yaml(*documents: Any) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, width=1000)
