"""One limit and what was measured against it. What stops a run by them is `components.gates`."""

import dataclasses

_TIE = 1e-9
"""A tie is met: 0.8 - 0.1 is 0.7000000000000001, and no gate may close on that."""


@dataclasses.dataclass(frozen=True)
class Gate:
    """One limit and what was measured against it.

    Attributes:
      name: What is measured, as in the config (`accuracy`, `max_rejected`).
      value: The measured value; None when it could not be measured, which never passes.
      limit: The limit it is held against.
      passed: Whether the run may go on.
      detail: What to look at when it may not: classes, files, features.
    """

    name: str
    value: float | None
    limit: float | None
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.6g}"
        limit = "none" if self.limit is None else f"{self.limit:.6g}"
        return f"{self.name} is {value}, limit {limit}" + (f" ({self.detail})" if self.detail else "")

    @property
    def line(self) -> str:
        """The same with its verdict, for lists of gates."""
        return f"{'open  ' if self.passed else 'CLOSED'}  {self}"


def at_least(name: str, value: float | None, limit: float, detail: str = "") -> Gate:
    """A gate that closes below `limit`; NaN closes it, and so does None: what was not measured."""
    return Gate(name, value, limit, value is not None and bool(value >= limit - _TIE), detail or "a floor")


def at_most(name: str, value: float | None, limit: float, detail: str = "") -> Gate:
    """A gate that closes above `limit`; NaN closes it, and so does None: what was not measured."""
    return Gate(name, value, limit, value is not None and bool(value <= limit + _TIE), detail or "a ceiling")


def within(name: str, value: float | None, limit: float, higher_is_better: bool, detail: str = "") -> Gate:
    """A floor on what should be high, a ceiling on what should be low."""
    return (at_least if higher_is_better else at_most)(name, value, limit, detail)
