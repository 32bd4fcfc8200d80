"""What a person should know of a run that nothing stopped."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RunWarning:
    """Something that no gate was asked to stop. Terminal, report, model card and `--json` show the same list.

    Attributes:
        code: what it is, for programs: `no_quality_gate`.
        text: a sentence for people, without its full stop, that says what may be done.
        grave: whether the model should not be used before somebody has looked; shown in bold.
    """

    code: str
    text: str
    grave: bool = False

    @property
    def line(self) -> str:
        """The same with its weight, for a terminal."""
        return f"{'WARNING' if self.grave else 'warning'}  {self.text}"
