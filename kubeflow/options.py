"""The section `kubeflow` of the configuration; imports nothing heavy, so every command can read it."""

from pydantic import BaseModel, ConfigDict, Field

from graft.kubeflow.server_options import ServerOptions

DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"


class KubeflowOptions(BaseModel):
    """What `graft kubeflow compile` assumes; a local run does not look at it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field("graft:latest", min_length=1, description="Container image of the components.")
    pipeline_root: str = Field(
        DEFAULT_ROOT,
        min_length=1,
        description="Root of the artifacts: an address in an object store (minio://, s3:// or gs://), from which "
        "Kubeflow's launcher brings them to each pod, and takes them to.",
    )
    server: ServerOptions = Field(default_factory=ServerOptions, description="The Kubeflow Pipelines API.")
