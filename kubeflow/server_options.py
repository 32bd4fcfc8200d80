"""The section `kubeflow.server`: where the Kubeflow Pipelines API is, and who asks.

A token is never part of a configuration. It comes from an environment variable or from a file, is read when a command
asks the server, and is sent to the server only.
"""

import ipaddress
import os
import pathlib
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from graft.models.errors import GraftError

_SECRETS = ("token", "password", "cookie", "existing_token", "api_key")
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_IN_CLUSTER = (".svc", ".svc.cluster.local")


class ServerOptions(BaseModel):
    """What `graft kubeflow submit`, `schedule`, `status` and `logs` ask; no other command looks at it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(
        "",
        description="Address of the Kubeflow Pipelines API, `https://kubeflow.example/pipeline`, or "
        "`http://localhost:8888` behind `kubectl port-forward`.",
    )
    namespace: str = Field(
        "", description="Kubernetes namespace of the runs, where Kubeflow has several users; else empty."
    )
    experiment: str = Field("", description="Experiment of the runs; empty: the name of the pipeline.")
    token_env: str = Field("", description="Environment variable that holds the token.")
    token_file: str = Field("", description="File that holds the token, read anew by each command.")
    ca_file: str = Field("", description="Certificates (PEM) that the server's is checked with; empty: the usual ones.")
    ui: str = Field("", description="Address of Kubeflow's pages, for links; empty: that of the API.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds that an answer may take.")

    @model_validator(mode="before")
    @classmethod
    def _no_secret(cls, given: Any) -> Any:
        """Raised as it is: pydantic's own errors repeat what was received."""
        for name in _SECRETS if isinstance(given, dict) else ():
            if name in given:
                raise GraftError(
                    f"kubeflow.server.{name}: a secret must not stand in a configuration; give token_env, the name of "
                    "an environment variable, or token_file, the path of a file"
                )
        for name in ("host", "ui") if isinstance(given, dict) else ():
            if isinstance(given.get(name), str) and "@" in given[name].partition("://")[2].partition("/")[0]:
                raise GraftError(
                    f"kubeflow.server.{name}: the address holds a user or a password; allowed: SCHEME://HOST[:PORT]"
                    "[/PATH], and the token by token_env or token_file"
                )
        return given

    @field_validator("host", "ui")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        try:
            found = urlsplit(value)
            sound = found.scheme in ("http", "https") and found.hostname and found.port != 0
        except ValueError:
            sound = False
        if not sound or found.query or found.fragment or not value.isprintable() or " " in value:
            raise ValueError("must be an address of the form http[s]://HOST[:PORT][/PATH]")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_token(self) -> "ServerOptions":
        if self.token_env and self.token_file:
            raise ValueError("token_env and token_file are both given; leave out one of the two")
        return self

    def token(self) -> str | None:
        """The token, from where the section says; None where it names no place.

        A token that would go unencrypted over a network is refused: whoever reads it on its way can start runs in its
        name. Plain HTTP is allowed to this machine (a port-forward) and to names of services within a cluster, where
        Kubeflow's own API speaks nothing else.

        Raises:
            GraftError: there is none in that place, it holds blanks or other characters that no header may hold, or
                the host is neither reached by HTTPS nor on this machine nor within a cluster.
        """
        if self.token_env:
            where, text = f"token_env: environment variable {self.token_env}", os.environ.get(self.token_env)
            if text is None:
                raise GraftError(f"kubeflow.server.{where} is not set; set it to the token")
        elif self.token_file:
            where = f"token_file: {self.token_file}"
            try:
                text = pathlib.Path(self.token_file).read_text(encoding="ascii")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "it is no text"
                raise GraftError(f"kubeflow.server.{where}: {reason}; give a file that holds the token only") from None
        else:
            return None
        if not _TOKEN.fullmatch(text.strip()):
            raise GraftError(f"kubeflow.server.{where}: holds no token; allowed: one word of visible ASCII characters")
        if not self.private:
            raise GraftError(
                f"kubeflow.server.host: received {self.host}, which would send the token unencrypted; allowed: "
                "https://, or http:// to this machine or to a service within the cluster (NAME.NAMESPACE.svc)"
            )
        return text.strip()

    @property
    def private(self) -> bool:
        """Whether nobody outside reads what is sent: HTTPS, this machine, or a service within the cluster."""
        found = urlsplit(self.host)
        name = found.hostname or ""
        if found.scheme == "https" or name == "localhost" or name.endswith(_IN_CLUSTER):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False
