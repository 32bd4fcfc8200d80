"""Executor of `features`: TFRecord shards in, one `.npy` of vectors a split out."""

import json
from collections.abc import Iterator

import numpy as np

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.models import examples, progress, targets
from graft.models.applications import is_application
from graft.models.errors import GraftError
from graft.models.features import extract_features, write_backbone
from graft.models.inputs import make_input
from graft.models.options import BackboneOptions
from graft.models.settings import InputOptions, TargetOptions
from graft.models.shared_backbone import shared_backbone
from graft.models.targets.base import Target

_COLUMNS = (examples.LABEL, examples.DIGEST, examples.FILE, examples.GROUP, examples.DOMAIN, examples.WEIGHT)


class Parameters(BaseParameters):
    """Parameters of `FeatureExtractor`.

    Attributes:
        input: what the backbone is fed.
        target: what is predicted.
        backbone: which network.
        identity: what stands for the backbone in the cache key, see `pipeline.prepare.backbone_identity`; empty if not
            known.
        splits: the splits to extract.
    """

    input: InputOptions
    target: TargetOptions
    backbone: BackboneOptions
    identity: str = ""
    splits: tuple[str, ...]


class Executor(BaseExecutor):
    """Writes `names.json`, those of the target, and arrays with a row for each Example by split.

    | file | holds |
    |---|---|
    | `features.npy` | float32 [n, d] |
    | `labels.npy` | what `Target.encode` gives, [n, ...]; -1 or NaN in the rows of examples without a label |
    | `sha256.npy` | S64 [n] |
    | `files.json` | n names shown to people |
    | `groups.npy` | S64 [n], sha256 of the group in hex, empty for none; only where the Examples have a group |
    | `domains.npy` | S10 [n], `source`, `target` or `unlabelled`; only where the Examples have a domain |
    | `weights.npy` | float32 [n]; only where the Examples have a weight |

    Rows keep the order of the sorted shards. `backbone.json` says which network made them.
    """

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Runs the one pass.

        Raises:
            GraftError: the backbone is not the one whose identity the run began with, or a label is none of the target.
        """
        backbone = shared_backbone(given.backbone, make_input(given.input))
        # A network of keras.applications is known by its name until it is built; see `pipeline.prepare`.
        if given.identity and given.identity != backbone.identity and not is_application(given.backbone.handle):
            raise GraftError(
                f"backbone {given.backbone.handle!r} changed during the run: its sha256 was {given.identity} at the "
                f"start and is {backbone.identity} now; run again"
            )
        target = targets.load_target(given.target, inputs.uri("transform_graph"))
        output, uri = outputs.path("features"), inputs.uri("examples")
        columns: dict[str, dict[str, list]] = {split: {name: [] for name in _COLUMNS} for split in given.splits}
        done = 0

        def contents() -> Iterator[bytes]:
            for split in given.splits:
                files = examples.split_files(uri, split)
                for row in examples.read_examples(files, (examples.INPUT, *_COLUMNS)):
                    for name, column in columns[split].items():
                        column.append(row[name])
                    yield row[examples.INPUT]

        def report(batch: int) -> None:
            nonlocal done
            done += batch
            progress.report("features", done, None, backbone.takes.unit)

        # All splits in one call: freezing the backbone takes seconds.
        vectors = extract_features(backbone, contents(), progress=report)
        ends = np.cumsum([len(columns[split][examples.LABEL]) for split in given.splits])
        for split, part in zip(given.splits, np.split(vectors, ends[:-1]), strict=True):
            folder = output / f"Split-{split}"
            folder.mkdir(parents=True)
            np.save(folder / "features.npy", part)
            for name, array in _arrays(columns[split], target, f"split {split!r}: ").items():
                np.save(folder / f"{name}.npy", array)
            files = [name.decode("utf-8", "replace") for name in columns[split][examples.FILE]]
            (folder / "files.json").write_text(json.dumps(files), encoding="utf-8")
        write_backbone(output, backbone)
        (output / "names.json").write_text(json.dumps(target.names), encoding="utf-8")


def _arrays(columns: dict[str, list], target: Target, where: str) -> dict[str, np.ndarray]:
    """What is kept beside the features, by the names of the files."""
    unlabelled = np.array([domain == examples.UNLABELLED.encode() for domain in columns[examples.DOMAIN]], bool)
    labels = [label for label, without in zip(columns[examples.LABEL], unlabelled, strict=True) if not without]
    encoded = target.encode(labels, where)
    # What no class and no number is: a label that slips through is refused wherever targets are checked.
    marker = -1 if np.issubdtype(encoded.dtype, np.integer) else np.nan
    with_gaps = np.full((len(unlabelled), *encoded.shape[1:]), marker, encoded.dtype)
    with_gaps[~unlabelled] = encoded
    arrays = {
        "labels": with_gaps,
        "sha256": np.array(columns[examples.DIGEST], "S64"),
    }
    if any(columns[examples.GROUP]):
        arrays["groups"] = np.array([examples.group_key(group) for group in columns[examples.GROUP]], "S64")
    if any(columns[examples.DOMAIN]):
        known = (domain or examples.TARGET_DOMAIN.encode() for domain in columns[examples.DOMAIN])
        arrays["domains"] = np.array(list(known), "S10")
    if any(weight is not None for weight in columns[examples.WEIGHT]):
        arrays["weights"] = np.array([1.0 if weight is None else weight for weight in columns[examples.WEIGHT]], "f4")
    return arrays
