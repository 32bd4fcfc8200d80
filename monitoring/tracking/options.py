"""The section `mlflow` of the configuration; imports nothing heavy, so every command can read it."""

import re
import urllib.parse

from pydantic import BaseModel, ConfigDict, Field, field_validator

_ALIAS = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]{0,254}")
_NO_ALIAS = re.compile(r"(?i)latest|v\d+")


class MlflowOptions(BaseModel):
    """Runs and pushed versions on an MLflow server; a login comes from the environment only (docs/ecosystem.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tracking_uri: str | None = Field(
        None, description="Address of the MLflow server, http://HOST:PORT; null: runs are not tracked."
    )
    experiment: str | None = Field(
        None, min_length=1, max_length=500, description="Experiment of the runs; null: the name of the pipeline."
    )
    registered_model: str | None = Field(
        None,
        pattern=r"^[^/:'\\]{1,200}$",
        description="Registered model that a pushed version becomes a version of; null: none is registered.",
    )
    alias: str | None = Field(
        "served", description="Alias of the registered version where the push made it the served one; null: none."
    )
    timeout_s: float = Field(
        10.0, gt=0, le=600, description="Seconds that one request waits for an answer; each is tried twice."
    )

    @field_validator("tracking_uri")
    @classmethod
    def _of_a_server(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urllib.parse.urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"no address: {error}; allowed: http://HOST:PORT or https://HOST") from None
        if "@" in parts.netloc:
            raise ValueError(
                "holds a login; allowed: an address without one, and MLFLOW_TRACKING_USERNAME with "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
            )
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise ValueError("must be the address of a server, http://HOST:PORT or https://HOST")
        return value.rstrip("/")

    @field_validator("alias")
    @classmethod
    def _allowed(cls, value: str | None) -> str | None:
        if value is not None and (not _ALIAS.fullmatch(value) or _NO_ALIAS.fullmatch(value)):
            raise ValueError("must be letters, digits, _ and -, and neither `latest` nor like v1, which MLflow keeps")
        return value
