"""Examples as a report shows them: read from the `Examples` of ingestion, drawn by their input."""

import itertools
from collections.abc import Collection, Mapping

from graft.models.errors import GraftError
from graft.models.examples import DIGEST, FILE, INPUT, JUDGED, LABEL, read_examples, split_files
from graft.models.inputs.base import Input
from graft.models.page import Preview
from graft.models.targets.base import Target

_MOST_READ = 5000  # examples looked at for samples: a stratum that is rarer shows fewer


def samples(
    examples_uri: str, split: str, strata: Collection[str], input: Input, target: Target, each: int = 3
) -> dict[str, list[Preview]]:
    """The first examples of each stratum, in the order of the shards.

    Args:
        examples_uri: the `Examples` of `ingest`.
        split: the split to read.
        strata: names of those to show.
        input: draws the examples.
        target: knows under which names an example counts.
        each: examples of a stratum.
    """
    found: dict[str, list[Preview]] = {name: [] for name in strata}
    wanted = each * len(found)
    rows = read_examples(split_files(examples_uri, split), (INPUT, LABEL))
    for row in itertools.islice(rows, _MOST_READ):
        for name in target.strata(row[LABEL]):
            shown = found.get(name)
            if shown is not None and len(shown) < each:
                shown.append(Preview(input.preview(row[INPUT])))
                wanted -= 1
        if not wanted:
            break
    return found


def rows_at(examples_uri: str, split: str, sha256: Mapping[int, bytes], input: Input) -> dict[int, Preview]:
    """The examples at some places among those of a split that are judged.

    Args:
        examples_uri: the `Examples` of `ingest`.
        split: the split to read.
        sha256: hex digest that is expected at each place, from 0.
        input: draws the examples.

    Returns:
        place -> preview and file name.

    Raises:
        GraftError: another example lies there; the predictions are of other examples.
    """
    found: dict[int, Preview] = {}
    rows = read_examples(split_files(examples_uri, split), (INPUT, FILE, DIGEST), JUDGED)
    for place, row in enumerate(itertools.islice(rows, max(sha256, default=-1) + 1)):
        if place not in sha256:
            continue
        if row[DIGEST] != sha256[place]:
            raise GraftError(f"{examples_uri}: row {place} of {split} is not the {input.one} that was predicted there")
        found[place] = Preview(input.preview(row[INPUT]), file=row[FILE].decode("utf-8", "replace"))
    if len(found) < len(sha256):
        raise GraftError(f"{examples_uri}: split {split} has fewer rows than were predicted")
    return found
