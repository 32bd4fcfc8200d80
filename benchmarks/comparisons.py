"""How often the gates that compare are wrong: simulated test splits and trainings with a known truth.

    python -m benchmarks.comparisons [--rounds N] [--json]

Every contestant answers each example rightly with a probability that depends on its difficulty, on the method's
strength and on the luck of its training. Nothing is trained.
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np

from graft.models import gap

RIVALS = 3
EXAMPLES, SEEDS = (65, 1000), (2, 3, 5, 10)
LUCK = (0.0, 0.02)
"""Standard deviation of a training's accuracy by luck alone."""
GAPS = (0.0, 0.05, 0.1)


def simulate(
    rounds: int, examples: int, seeds: int, luck: float, true_gap: float, rivals: int = RIVALS, generator: int = 0
) -> dict[str, float]:
    """Draws comparisons of a model with rivals that are all better than it by `true_gap`.

    Args:
        rounds: comparisons to draw.
        examples: in the test split.
        seeds: trainings of each contestant; 1 means fixed models.
        luck: standard deviation of the accuracy of a training around that of its method.
        true_gap: accuracy of the rivals less that of the model.
        rivals: contestants that the model is compared with; the worst gap decides.
        generator: seed of the draws.

    Returns:
        `closed`: share of rounds in which the gate closes; `covered`: share in which the interval of the first rival,
        taken alone, holds the true gap.
    """
    rng = np.random.default_rng(generator)
    closed = covered = 0
    for _ in range(rounds):
        # Half of the examples are nearly settled, the others open: accuracies around 0.75.
        difficulty = rng.beta(1.2, 0.4, examples)

        def answers(worse: float, difficulty: np.ndarray = difficulty) -> np.ndarray:
            shift = rng.normal(0.0, luck, (seeds, 1)) - worse
            # A share of the examples is settled by the shift alone, such that the accuracy moves by just as much.
            share = np.abs(shift) / np.where(shift > 0, 1 - difficulty.mean(), difficulty.mean())
            chance = np.where(rng.random((seeds, examples)) < share, shift > 0, difficulty)
            return rng.random((seeds, examples)) < chance

        model = answers(true_gap)
        contestants = [answers(0.0) for _ in range(rivals)]
        closed += max(gap.measure(rival, model, rivals).beyond_luck for rival in contestants) > 0
        alone = gap.measure(contestants[0], model)
        covered += alone.low <= true_gap <= alone.high
    return {"closed": closed / rounds, "covered": covered / rounds}


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    rows = [
        {"examples": examples, "seeds": seeds, "luck": luck}
        | {f"closed_at_{true:g}": simulate(args.rounds, examples, seeds, luck, true)["closed"] for true in GAPS}
        | {"covered": simulate(args.rounds, examples, seeds, luck, 0.0)["covered"]}
        for examples in EXAMPLES
        for luck in LUCK
        for seeds in SEEDS
    ]
    if args.json:
        print(json.dumps({"rounds": args.rounds, "rivals": RIVALS, "rows": rows}))
        return
    print(f"{RIVALS} rivals, {args.rounds} rounds each; `closed` for a true gap of {', '.join(map(str, GAPS))}")
    print(f"{'rows':>7}{'seeds':>7}{'luck':>7}{'closed':>24}{'covered':>10}")
    for row in rows:
        closed = "".join(f"{row[f'closed_at_{true:g}']:>8.3f}" for true in GAPS)
        print(f"{row['examples']:>7}{row['seeds']:>7}{row['luck']:>7}{closed}{row['covered']:>10.3f}")


if __name__ == "__main__":
    main()
