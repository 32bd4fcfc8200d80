"""The section `monitoring` of the configuration; imports nothing heavy, so every command can read it."""

from pydantic import BaseModel, ConfigDict, Field

from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.request_log.options import Options as RequestLogOptions
from graft.monitoring.retrain.options import RetrainOptions


class MonitoringOptions(BaseModel):
    """How a served model is watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_log: RequestLogOptions = Field(
        default_factory=RequestLogOptions, description="Log of served requests: graft serve --request-log CONFIG."
    )
    drift: DriftOptions = Field(
        default_factory=DriftOptions, description="What is an alarm, and when: graft monitor CONFIG."
    )
    retrain: RetrainOptions = Field(
        default_factory=RetrainOptions, description="When it is trained anew, and on what: graft retrain CONFIG."
    )
