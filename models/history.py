"""What happened in a training."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from graft.models.durable import replacing


@dataclasses.dataclass
class Finding:
    """What a method found out beside its figures, such as an effective sample size or a strength it chose.

    Attributes:
        name: short, such as `effective sample size`.
        value: a number, or a word.
        words: one sentence that says what it means for this run.
    """

    name: str
    value: float | int | str
    words: str


@dataclasses.dataclass
class History:
    """What happened.

    Attributes:
        epochs: one entry an epoch: epoch (from 1, over all phases), phase, the losses and figures of the phase's
            objectives by name (training, with dropout and augmentation on; and as `val_` and the name on eval),
            seconds. Losses are without regularisation; those of eval also without class weights, weights of examples
            and label smoothing. A head that was solved is one entry, with the figures of the strength that was chosen.
        best_epoch: the epoch whose weights were put back.
        monitor: the figure that decided.
        lower_is_better: its direction.
        steps: optimizer steps taken.
        max_epochs: most epochs it could have taken, over all phases.
        allowed: most epochs of each phase, by its name.
        resumed_at: epoch after which a checkpoint was continued, or None.
        path: the strengths that a solved head tried, each as `models.linear.Step.flat`; empty for one that was trained.
        chosen: index of the chosen one in `path`.
        refit: whether the head was then solved on train and eval together.
        findings: what the method found out.
    """

    epochs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    monitor: str = "val_loss"
    lower_is_better: bool = True
    steps: int = 0
    max_epochs: int = 0
    resumed_at: int | None = None
    path: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    chosen: int = 0
    refit: bool = False
    findings: list[Finding] = dataclasses.field(default_factory=list)
    allowed: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Takes findings as a checkpoint keeps them, too: JSON types."""
        self.findings = [Finding(**found) if isinstance(found, dict) else found for found in self.findings]

    @property
    def best(self) -> dict[str, Any]:
        """The entry of the best epoch."""
        return self.epochs[self.best_epoch - 1]

    def write(self, path: Path, method: str) -> None:
        """Writes it as JSON with the method's name, whole or not at all."""
        with replacing(path, sync=False) as partial:
            partial.write_text(json.dumps({"method": method, **dataclasses.asdict(self)}, indent=1), encoding="utf-8")
