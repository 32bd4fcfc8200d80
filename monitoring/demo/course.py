"""How long the story of `graft demo drift` is. A day is simulated: it is a window of so many pictures, seconds long."""

import dataclasses

from graft.models.errors import GraftError

POOL = 1900
"""Digits that are asked about at most, each once: 380 of each of five classes."""
LEAST_ROWS = 50


@dataclasses.dataclass(frozen=True)
class Course:
    """The days of the story; a day's labels come on the next.

    Attributes:
        usual: days of pictures as the model was trained on.
        drift: days of changed pictures until a retraining starts: so many windows in a row must be alarms. It learns
            from the labels of all of them but the last, which has none yet.
        after: days of changed pictures that follow.
        rows: pictures a day.
        seed: of the choice of digits and of the backbone.

    Raises:
        GraftError: one is out of range.
    """

    usual: int = 3
    drift: int = 3
    after: int = 3
    rows: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in zip(("USUAL", "DRIFT", "AFTER"), self._spans, (1, 2, 1), strict=True):
            if value < least:
                raise GraftError(f"--days: {name} is {value}; it must be at least {least}")
        most = POOL // self.days
        if not LEAST_ROWS <= self.rows <= most:
            raise GraftError(
                f"--rows: received {self.rows}; allowed for {self.days} days: {LEAST_ROWS} to {most} pictures a day"
            )
        if self.seed < 0:
            raise GraftError(f"--seed: received {self.seed}; it must be 0 or more")

    @property
    def _spans(self) -> tuple[int, int, int]:
        return self.usual, self.drift, self.after

    @property
    def days(self) -> int:
        """All of them."""
        return sum(self._spans)

    @property
    def learned(self) -> int:
        """Labels that a retraining learns from: the newest, of changed pictures only."""
        return self.rows * (self.drift - 1)

    def is_changed(self, day: int) -> bool:
        """Whether the pictures of a day, from 1, are changed ones."""
        return day > self.usual
