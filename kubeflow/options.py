"""The section `kubeflow` of the configuration; imports nothing heavy, so every command can read it."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from graft.kubeflow.server_options import ServerOptions

DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, None: 1}

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
"""Of an object of Kubernetes (RFC 1123)."""
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Mount = Annotated[str, StringConstraints(pattern=r"^/[^:]*[^:/]$")]
"""An absolute folder in the pod."""


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Volume(_Options):
    """A volume that every pod of the pipeline has."""

    claim: Name = Field(description="Name of the PersistentVolumeClaim.")
    mount: Mount = Field(description="Folder in the pod.")


class Secret(_Options):
    """A secret of the cluster that every pod has: as variables, as files, or both."""

    name: Name = Field(description="Name of the Secret.")
    env: dict[Variable, str] = Field(
        default={}, description="Environment variables, and the key of the secret for each."
    )
    mount: Mount | None = Field(default=None, description="Folder of its files in the pod.")

    @model_validator(mode="after")
    def _used(self) -> "Secret":
        if not self.env and self.mount is None:
            raise ValueError(f"secret {self.name} is used nowhere; give env (variable: key) or mount")
        return self


class Toleration(_Options):
    """A taint of a node that its pods may have; as in Kubernetes."""

    key: str = Field(default="", description="Of the taint; empty with operator Exists: every taint.")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="How the value is compared.")
    value: str = Field(default="", description="Of the taint.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="", description="Of the taint; empty: every effect."
    )

    @model_validator(mode="after")
    def _possible(self) -> "Toleration":
        if self.operator == "Equal" and not self.key:
            raise ValueError("a toleration with operator Equal needs a key; Exists does not")
        return self


class PodOptions(_Options):
    """What the pod of a stage gets."""

    cpu: float | None = Field(default=None, gt=0, description="CPUs, asked for and at most.")
    memory: str | None = Field(default=None, description="Memory, asked for and at most: `8Gi`.")
    gpus: int = Field(default=0, ge=0, description="Accelerators; for stages that compute with the network only.")
    accelerator: str = Field(default="nvidia.com/gpu", min_length=1, description="Their name in Kubernetes.")
    workers: int = Field(
        default=1,
        ge=1,
        description="Pods that train together, each with the CPUs, memory and GPUs named here; for `train` only. With "
        "more than one the stage's task starts a job of Kubeflow Trainer and waits for it.",
    )
    job: Literal["trainjob", "tfjob"] = Field(
        default="trainjob",
        description="Kind of that job: `trainjob` of Kubeflow Trainer 2, or `tfjob` of the training operator.",
    )
    node_selector: dict[str, str] = Field(default={}, description="Labels that its node must have.")
    tolerations: tuple[Toleration, ...] = Field(default=(), description="Taints that its node may have.")
    retries: int = Field(default=2, ge=0, le=10, description="How often it is tried again when it fails.")
    backoff_seconds: int = Field(default=30, ge=1, description="Wait before it is tried again; doubled each time.")
    timeout_seconds: int | None = Field(default=None, ge=1, description="When an attempt is ended; null: never.")
    cache: bool = Field(
        default=True,
        description="Whether results of an earlier run with equal inputs are taken. What looks into the model store "
        "never is.",
    )

    @field_validator("memory")
    @classmethod
    def _quantity(cls, value: str | None) -> str | None:
        if value is not None and not (_QUANTITY.fullmatch(value) and bytes_of(value) > 0):
            raise ValueError(f"{value!r} is no amount of memory; allowed: a number with Ki, Mi, Gi or Ti, such as 8Gi")
        return value


class Notify(_Options):
    """Who is told how a run ended. The address is a secret: it stands in a variable of the pod."""

    webhook_env: Variable = Field(
        description="Environment variable that holds the address of a webhook which takes Slack's messages; give it to "
        "the pods by `kubeflow.secrets`."
    )
    when: Literal["always", "failed"] = Field(default="always", description="Of which runs.")


class KubeflowOptions(_Options):
    """What `graft kubeflow compile` assumes; a local run does not look at it."""

    image: str = Field("graft:latest", min_length=1, description="Container image of the components.")
    pipeline_root: str = Field(
        DEFAULT_ROOT,
        min_length=1,
        description="Root of the artifacts: an address in an object store (minio://, s3:// or gs://), from which "
        "Kubeflow's launcher brings them to each pod, and takes them to.",
    )
    image_pull_secrets: tuple[Name, ...] = Field(default=(), description="Secrets to pull the image with.")
    labels: dict[str, str] = Field(default={}, description="Labels of every pod.")
    env: dict[Variable, str] = Field(
        default={}, description="Environment variables of every pod; secrets belong into `secrets`."
    )
    secrets: tuple[Secret, ...] = Field(default=(), description="Secrets of the cluster that the pods get.")
    volumes: tuple[Volume, ...] = Field(
        default=(),
        description="Volumes of every pod: where data, runs, a local backbone and a model store in a folder lie.",
    )
    in_image: tuple[Mount, ...] = Field(
        default=(), description="Folders that the image holds, such as one with a backbone in it."
    )
    pods: PodOptions = Field(default=PodOptions(), description="What every stage's pod gets.")
    stages: dict[str, PodOptions] = Field(
        default={}, description="What the pod of a stage gets instead, by name of the stage."
    )
    report: bool = Field(
        default=True, description="Whether a last task writes the report, the model card and the metrics of the run."
    )
    notify: Notify | None = Field(default=None, description="Tells a webhook how a run ended; null: nobody is told.")
    server: ServerOptions = Field(default_factory=ServerOptions, description="The Kubeflow Pipelines API.")

    @model_validator(mode="after")
    def _mounts_differ(self) -> "KubeflowOptions":
        mounts = [volume.mount for volume in self.volumes] + [secret.mount for secret in self.secrets if secret.mount]
        if twice := sorted({mount for mount in mounts if mounts.count(mount) > 1}):
            raise ValueError(
                f"{twice[0]} is the folder of two volumes or secrets; allowed: a folder of its own for each"
            )
        return self

    def pod(self, stage: str) -> PodOptions:
        """What the pod of a stage gets: its own keys, and those of `pods` for the rest."""
        own = self.stages.get(stage, PodOptions())
        return PodOptions.model_validate(self.pods.model_dump(exclude_unset=True) | own.model_dump(exclude_unset=True))

    def task(self, stage: str) -> PodOptions:
        """What the pod of the stage's task gets: where workers do the work, it only waits for them."""
        pod = self.pod(stage)
        if pod.workers == 1:
            return pod
        waiting = {"retries", "backoff_seconds", "timeout_seconds", "cache"}
        return PodOptions.model_validate(self.pods.model_dump(exclude_unset=True) | pod.model_dump(include=waiting))


def bytes_of(memory: str) -> float:
    """An amount of memory, `8Gi`, in bytes."""
    found = _QUANTITY.fullmatch(memory)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0
