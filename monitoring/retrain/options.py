"""When a retraining starts, and on what: keys of the section `monitoring.retrain`. Imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class RetrainOptions(BaseModel):
    """When a model is trained anew on labelled requests: `graft retrain CONFIG`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = Field(
        None, min_length=1, description="Folder of the request log; null: `monitoring.request_log.folder`."
    )
    new_labels: int | None = Field(
        500,
        ge=1,
        description="So many labelled examples that no retraining has seen start one; null: only drift does. Those "
        "count whose input is in the log.",
    )
    on_drift: bool = Field(True, description="Whether drift starts one, as the monitor finds it.")
    drift_windows: int = Field(
        2, ge=1, description="So many windows of the served version, one after the other, must have drifted."
    )
    least_labels: int = Field(
        50,
        ge=1,
        description="With fewer new labelled examples none starts, drift or not; with `--force`, with fewer in all.",
    )
    cooldown_hours: float = Field(
        24.0, ge=0, le=8784, description="None starts so soon after the end of the last one, however that ended."
    )
    new_classes: bool = Field(
        False,
        description="Whether a label may bring a class that the served model does not know. False: it is left out, "
        "counted and named. Where `target.class_names` are given, these alone decide.",
    )
    base: bool = Field(True, description="Whether the data of section `data` is learned from too.")
    most_labels: int | None = Field(
        None, ge=1, description="Labelled examples that are learned from at most, the newest; null: all."
    )

    @model_validator(mode="after")
    def _can_start(self) -> "RetrainOptions":
        if self.new_labels is None and not self.on_drift:
            raise ValueError("new_labels is null and on_drift false: nothing would ever start; allowed: one of them")
        for name in ("new_labels", "most_labels"):
            value = getattr(self, name)
            if value is not None and value < self.least_labels:
                raise ValueError(f"{name} is {value}; it must be at least least_labels, {self.least_labels}")
        return self
