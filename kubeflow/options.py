"""The section `kubeflow` of the configuration; imports nothing heavy, so every command can read it."""

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_ROOT = "/mnt/graft/artifacts"


class KubeflowOptions(BaseModel):
    """What `graft kubeflow compile` assumes; a local run does not look at it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field("graft:latest", min_length=1, description="Container image of the components.")
    pipeline_root: str = Field(
        DEFAULT_ROOT,
        min_length=1,
        description="Default root of the artifacts: a path that every pod mounts, for Graft's components read and "
        "write them as plain files.",
    )
