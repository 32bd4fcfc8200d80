"""What the monitor is told: keys of the section `monitoring.drift`. Imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from graft.components.beam import LOCAL_BEAM_ARGS


class WindowOptions(BaseModel):
    """When a window of requests is full; each version of the model has windows of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(1000, ge=1, le=10**7, description="Examples after which a window is full.")
    hours: float = Field(
        24.0,
        gt=0,
        le=8784,
        description="So it is after that time, by the clock of the requests. Counted from midnight UTC of 1970-01-01: "
        "24 ends windows at midnight.",
    )
    least: int = Field(
        200, ge=1, description="Fewest examples of a window; one with fewer goes on with the next span of time."
    )
    grace_minutes: float = Field(
        15.0,
        ge=0,
        description="How much later than others a request may come, by its own time, and still fall into its span. "
        "One that is later is counted as late and falls into the window that is open. Longer than "
        "`monitoring.request_log.rotate_seconds`.",
    )

    @model_validator(mode="after")
    def _can_be_filled(self) -> "WindowOptions":
        if self.least > self.rows:
            raise ValueError(f"least is {self.least}; it must be at most rows, {self.rows}")
        return self


class VectorOptions(BaseModel):
    """Feature vectors: a classifier tries to tell the window's from the reference's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    watch: bool = Field(
        True,
        description="The monitor loads the version that answered and embeds logged inputs with it; false: it does not.",
    )
    sample: int = Field(
        500,
        ge=20,
        le=1000,
        description="Most examples of a window that are embedded, drawn by the hash of their request.",
    )
    least_auc: float = Field(
        0.6,
        ge=0.5,
        lt=1,
        description="Smallest AUC that is an alarm: 0.5 is guessing, 1 tells every pair apart, 0.6 is what a mean that "
        "moves by about a third of a standard deviation allows.",
    )


class DriftOptions(BaseModel):
    """The monitor of a served model: `graft monitor CONFIG`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = Field(
        None, min_length=1, description="Folder of its results and of its state; null: `<root>/<name>/drift`."
    )
    window: WindowOptions = Field(default_factory=WindowOptions, description="Spans that are judged as one.")
    false_alarms: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Largest chance that a version ever has a false alarm, however long it is watched.",
    )
    least_effect: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Smallest change that is an alarm, as Jensen-Shannon distance: 0 is no change, 1 is nothing in "
        "common, 0.1 a mean that moves by a quarter of a standard deviation.",
    )
    vectors: VectorOptions = Field(
        default_factory=VectorOptions, description="What is watched of the model's feature vectors."
    )
    least_loss: float = Field(
        0.02, ge=0, le=1, description="Smallest fall of the mean score of labelled requests that is an alarm."
    )
    least_errors: float = Field(
        0.01, ge=0, le=1, description="Smallest rise of the share of failed requests that is an alarm."
    )
    most_errors: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of failed requests that is an alarm where it is certainly exceeded; null: only a rise over "
        "the version's first window is.",
    )
    latency_ms: float | None = Field(
        None, gt=0, description="An alarm where certainly more than one request in 20 takes longer, milliseconds."
    )
    beam: tuple[str, ...] = Field(
        LOCAL_BEAM_ARGS,
        description="Options of Beam, which reads the log's files where there are many new ones; on other machines the "
        "log, the store and the folder must lie under the same names.",
    )
