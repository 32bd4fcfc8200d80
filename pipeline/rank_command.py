"""`graft rank`: which of several backbones suits a pipeline's data, before any training."""

import argparse
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.models.text import say
from graft.pipeline.output import answer, show_run, table, until_a_gate

if TYPE_CHECKING:
    from graft.models.ranking.drawing import Drawn
    from graft.models.ranking.verdict import Verdict
    from graft.pipeline.config import Config
    from graft.pipeline.ending import Ending
    from graft.pipeline.progress_view import ProgressView
    from graft.pipeline.zoo import Candidate

SAMPLE = 500
"""Examples that scores are taken on, unless the command is told otherwise."""


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `rank` to the command line (see `pipeline.cli`)."""
    rank = add("rank", _rank, "score candidate backbones on a sample of the training data, before any training")
    rank.add_argument("config", help="YAML file of the pipeline")
    candidates = rank.add_mutually_exclusive_group(required=True)
    candidates.add_argument("--backbones", nargs="+", metavar="HANDLE", help="the candidates")
    candidates.add_argument("--zoo", metavar="FILE", help="YAML list of candidates: name, keys of backbone, input")
    rank.add_argument("--scores", nargs="+", metavar="NAME", help="scores to take (default: all)")
    rank.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help=f"training examples (default: {SAMPLE})")
    rank.add_argument("--seed", type=int, default=0, help="of the sample, of folds and clusters (default: 0)")
    rank.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the file")
    rank.add_argument("--wait", action="store_true", help="wait for another run of this pipeline")
    rank.add_argument("--write", type=pathlib.Path, metavar="FILE", help="write the configuration with the winner")
    rank.add_argument("--run", action="store_true", help="run the pipeline with the winner")


def _rank(args: argparse.Namespace) -> int:
    return until_a_gate(args, _until)


def _until(args: argparse.Namespace, end: "Ending") -> int:
    from graft.models import ranking
    from graft.pipeline import config as configs
    from graft.pipeline import zoo
    from graft.pipeline.progress_view import ProgressView

    if args.write is not None and args.write.exists():
        raise GraftError(f"--write {args.write}: exists already; give another name")
    if args.seed < 0:
        raise GraftError(f"--seed: received {args.seed}; allowed: from 0")
    names = ranking.names(args.scores)
    raw = configs.read(args.config, args.set)
    config = configs.parse(configs.expand(raw, str(args.config)), str(args.config))
    candidates = zoo.of_file(args.zoo, config) if args.zoo else zoo.of_handles(args.backbones, config)
    with ProgressView() as view:
        view.preparing(f"{config.name}: loading TFX and TensorFlow")
        found = rank(config, candidates, names, args.sample, args.seed, view, args.wait)
        winner = next(one for one in candidates if one.name == found["winner"])
        if args.write is not None:
            _write(args.write, winner.given(raw), found["statement"])
            found["config"] = str(args.write)
        if not args.run:
            end.over(0)
            answer(args, found, *lines(found))
            return 0
        if not args.json:
            say(*lines(found))
        from graft.pipeline import run

        chosen = configs.parse(configs.expand(winner.given(raw), str(args.config)), f"{args.config} with {winner.name}")
        result = run.run(chosen, view, wait=args.wait, end=end)
    return show_run(args, result, end, {"ranking": found})


def rank(
    config: "Config",
    candidates: "Sequence[Candidate]",
    scores: Sequence[str],
    count: int,
    seed: int,
    view: "ProgressView",
    wait: bool = False,
) -> dict[str, Any]:
    """Ingests the data as a run would, draws a sample of its training split, and scores every candidate on it.

    Args:
        config: the pipeline; its own backbone counts only if it is a candidate.
        candidates: at least one.
        scores: names of `models.ranking.SCORES`.
        count: examples of the sample, at most.
        seed: of the sample and of scores that draw.
        view: shows progress.
        wait: wait for another run of this pipeline instead of refusing.

    Returns:
        JSON types: `sample` (`split`, `examples`, `of`, `seed`, `left_out`), `scores` (`title` and `range` by name),
        `candidates` (name -> what `models.ranking.compare.Found` holds, `backbone`, `ranks`, `mean_rank`), `compared`,
        `agreement`, `winner`, `statement`.

    Raises:
        GraftError: bad data, or no candidate could be scored.
    """
    from graft.models import progress, ranking
    from graft.models.inputs import make_input
    from graft.models.ranking import compare
    from graft.models.ranking.verdict import judge
    from graft.pipeline import settling
    from graft.pipeline.partial import Step, run_until

    sink = progress.set_sink(view.report)
    try:
        outputs = run_until(config, "transform", view, wait=wait)
        drawn, contents, total = _sample(config, outputs, count, seed)
        found: dict[str, dict[str, Any]] = {}
        for candidate in candidates:
            done = 0

            def report(batch: int) -> None:
                nonlocal done
                done += batch
                progress.report("candidate", done, len(contents), "examples")

            with Step("candidate", view) as step:
                own = config.model_copy(update={"backbone": candidate.backbone, "input": candidate.input})
                try:
                    input = make_input(settling.settle(own, judge=False).config.input)
                except GraftError as error:
                    measured = compare.Found(error=str(error))
                else:
                    measured = compare.measure(candidate.backbone, input, drawn, contents, scores, seed, report)
                step.result = f"{candidate.name}: {measured.error or f'{len(measured.scores)} scores'}"
            backbone = candidate.backbone.model_dump(mode="json", exclude_defaults=True)
            found[candidate.name] = {"backbone": backbone, "input": candidate.changes, **measured.to_json()}
    finally:
        progress.set_sink(sink)
    sound = {name: one["scores"] for name, one in found.items() if one["error"] is None}
    if not sound:
        raise GraftError(*(f"{name}: {one['error']}" for name, one in found.items()))
    verdict = judge(sound, compare.titles(scores))
    return {
        "sample": {
            "split": "train",
            "examples": len(drawn.rows),
            "of": total,
            "seed": seed,
            "left_out": list(drawn.left_out),
        },
        "scores": {
            name: {"title": ranking.SCORES.module(name).TITLE, "range": ranking.SCORES.module(name).RANGE}
            for name in scores
        },
        "candidates": {name: {**one, **_placed(name, verdict)} for name, one in found.items()},
        "compared": list(verdict.compared),
        "agreement": verdict.agreement,
        "winner": verdict.winner,
        "statement": verdict.statement,
    }


def _placed(name: str, verdict: "Verdict") -> dict[str, Any]:
    return {"ranks": verdict.ranks.get(name, {}), "mean_rank": verdict.mean_ranks.get(name)}


def _sample(
    config: "Config", outputs: Mapping[str, Mapping[str, Any]], count: int, seed: int
) -> "tuple[Drawn, list[bytes], int]":
    """Examples of the training split, their contents, and how many there are to draw from."""
    from graft.models import examples
    from graft.models.ranking import drawing
    from graft.models.targets import load_target

    files = examples.split_files(outputs["ingest"]["examples"].uri, "train")
    target = load_target(config.target, outputs["transform"]["transform_graph"].uri)
    values = [row[examples.LABEL] for row in examples.read_examples(files, (examples.LABEL,), examples.TARGET_DOMAIN)]
    encoded = target.encode(values, "split 'train': ")
    target.check(encoded, "split 'train'")
    drawn = drawing.draw(encoded, drawing.form_of(target), target.names, count, seed)
    wanted = set(drawn.rows.tolist())
    rows = examples.read_examples(files, (examples.INPUT,), examples.TARGET_DOMAIN)
    return drawn, [row[examples.INPUT] for at, row in enumerate(rows) if at in wanted], len(values)


def lines(found: Mapping[str, Any]) -> list[str]:
    """What `rank` found, for a terminal."""
    sample, scores = found["sample"], found["scores"]
    drawn = f"{sample['examples']} of {sample['of']} training examples, drawn with seed {sample['seed']}"
    told = [f"{drawn}; no other split was looked at."]
    if sample["left_out"]:
        told.append(f"Left out, for they have too few examples: {', '.join(sample['left_out'])}.")
    order = sorted(found["candidates"].items(), key=lambda item: (item[1]["mean_rank"] is None, item[1]["mean_rank"]))
    taken = [name for name in scores if any(name in one["scores"] for _, one in order)]
    rows = []
    for candidate, one in order:
        seconds = f"{sum(one['seconds'].values()):.1f}"
        if one["error"] is not None:
            rows.append((candidate, "-", *("-" for _ in taken), "-", seconds))
            continue
        cells = (
            f"{one['scores'][name]:.4f} ({one['ranks'][name]:g})" if name in one["scores"] else "-" for name in taken
        )
        rows.append((candidate, one["features"], *cells, f"{one['mean_rank']:.2f}", seconds))
    header = ("backbone", "features", *(f"{scores[name]['title']} (rank)" for name in taken), "mean rank", "seconds")
    told += ["", *table(rows, header)]
    told += [f"{name}: {one['error']}" for name, one in order if one["error"] is not None]
    told += _not_taken(scores, [(name, one["why_not"]) for name, one in order if one["error"] is None])
    told += ["", *_agreement(found), found["statement"]]
    if "config" in found:
        told.append(f"wrote {found['config']}; next: graft run {found['config']}")
    return told


def _not_taken(scores: Mapping[str, Any], candidates: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """Which scores are missing of which candidates, a line for each reason."""
    missing: dict[tuple[str, str], list[str]] = {}
    for score, described in scores.items():
        reasons: dict[str, list[str]] = {}
        for name, why_not in candidates:
            if score in why_not:
                reasons.setdefault(why_not[score], []).append(name)
        for reason, names in reasons.items():
            whom = "every candidate" if len(names) == len(candidates) else ", ".join(names)
            missing.setdefault((whom, reason), []).append(described["title"])
    return [f"{', '.join(titles)}: not taken of {whom}: {reason}." for (whom, reason), titles in missing.items()]


def _agreement(found: Mapping[str, Any]) -> list[str]:
    """How far scores agree on the order, as a table; nothing where there is nothing to order."""
    compared, tau = found["compared"], found["agreement"]
    if len(compared) < 2 or sum(one["error"] is None for one in found["candidates"].values()) < 3:
        return []
    titles = {name: found["scores"][name]["title"] for name in compared}
    cells = [
        (titles[one], *("" if other == one else _signed(tau[one][other]) for other in compared)) for one in compared
    ]
    return [*table(cells, ("Kendall's tau", *titles.values())), ""]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _write(path: pathlib.Path, raw: dict, statement: str) -> None:
    """A configuration with the winner, and why it is there."""
    import yaml

    from graft.models.durable import write_atomic
    from graft.models.text import printable

    path.parent.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=110)
    write_atomic(path, f"# Made by graft rank. {printable(statement)}\n{content}".encode())
