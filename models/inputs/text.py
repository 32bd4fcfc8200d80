"""Texts: UTF-8 strings, which the backbone takes as they are."""

import collections
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graft.models.inputs import base

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models.inputs.text_options import Options as Options

_SHOWN = 200  # characters of a text in a report
_PLAIN_BYTES = 512 * 2**20
_AT_ONCE = 256
_MOST_COLUMNS, _LEAST_COLUMNS = 2048, 256
_FEWER = "the number of texts, or leave raw out of gates.negative_transfer.references"
_WORD = re.compile(r"\w+")
_VOCABULARY = 5_000
"""Most words that are kept of reference data, each in at least `_TEXTS` of its texts: about 50 kB."""
_TEXTS = 2
_LONGEST_WORD = 40
_DRAWN = (
    "The parcel came a day early.",
    "Nobody answers the phone, and the form gives an error each time.",
    "Is the small one still to be had in green?",
    "It rains.",
)


def __getattr__(name: str) -> Any:
    """The settings, from a module of their own: a client of a server lacks pydantic."""
    if name == "Options":
        from graft.models.inputs.text_options import Options

        return Options
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Input(base.Input):
    """UTF-8 strings; what needs TensorFlow or scikit-learn is imported by the call that needs it."""

    kind = "text"
    unit = "texts"
    one = "text"
    rows = "bags of words"
    signature_name = "text"
    column = "text"
    reads_paths = False
    suffixes = (".txt",)
    REASONS = {
        "empty": "the text has no character but white space",
        "too_large": "the text has more bytes in UTF-8 than input.max_bytes",
        "not_utf8": "the bytes are not UTF-8",
        "nul": "the text holds the character NUL, at which some programs end a text",
    }
    FACTS = {"characters": int, "words": int}
    BATCH_COST = 2**20
    """Bytes of the texts verified in one call."""
    MISFIT = "it was not made for such texts"
    SIGNALS = {
        "characters": "characters",
        "words": "words",
        "unknown_words": "share of words",
        "non_ascii": "share of characters",
        "empty": None,
        "readable": None,
    }
    LEARNS = 5_000

    def admit(self, content: bytes) -> base.Facts:
        if len(content) > self.options.max_bytes:
            raise base.Refused("too_large", f"{len(content)} bytes, at most {self.options.max_bytes} are read")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(content, error) from error
        if "\0" in text:
            raise base.Refused("nul", f"character {text.index(chr(0))} is NUL")
        words = text.split()
        if not words:
            raise base.Refused("empty", f"{len(text)} characters, all of them white space" if text else "0 bytes")
        return {"characters": len(text), "words": len(words)}

    def cost(self, facts: base.Facts) -> int:
        return int(facts["characters"])

    def verify(self, contents: Sequence[bytes], facts: Sequence[base.Facts]) -> list[bytes | base.Refused]:
        # Nothing is packed in a text: what was admitted can be read.
        return list(contents)

    @property
    def spec(self) -> "tf.TensorSpec":
        import tensorflow as tf

        return tf.TensorSpec([None], tf.string)

    def prepare(self, contents: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        return tf.convert_to_tensor(contents, tf.string)

    @property
    def prepared_by(self) -> dict[str, Any]:
        return {"kind": self.kind}

    def augment(self, prepared: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        return prepared

    @property
    def augments(self) -> bool:
        return False

    def plain(self, splits: Mapping[str, base.Contents], stage: str) -> dict[str, np.ndarray]:
        """Hashed bags: half of the columns words and pairs of words, half letters in rows of 2 to 4.

        No vocabulary is learned, so a row depends on its own text only (Weinberger et al. 2009, arXiv 0902.2206).
        """
        from sklearn.feature_extraction.text import HashingVectorizer

        from graft.models import memory

        count = sum(len(contents) for contents in splits.values())
        columns = _MOST_COLUMNS
        while columns > _LEAST_COLUMNS and count * columns * 4 > _PLAIN_BYTES:
            columns //= 2
        memory.require(4 * columns * count, stage, f"{count} texts as bags of words", _FEWER)
        words = HashingVectorizer(n_features=columns // 2, ngram_range=(1, 2), token_pattern=r"\w+", dtype=np.float32)
        letters = HashingVectorizer(n_features=columns // 2, ngram_range=(2, 4), analyzer="char_wb", dtype=np.float32)
        return {name: _rows(contents, columns, (words, letters)) for name, contents in splits.items()}

    @property
    def told(self) -> str:
        return "input.kind is text"

    @property
    def fed(self) -> str:
        return "texts"

    def probes(self, contents: Sequence[bytes]) -> "tf.Tensor":
        return self.prepare(list(contents) if len(contents) > 1 else self.drawn())

    def preview(self, content: bytes) -> Mapping[str, str]:
        text = " ".join(content.decode("utf-8", "replace").split())
        return {"text": text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"}

    def drawn(self) -> list[bytes]:
        return [text.encode() for text in _DRAWN]

    def sendable(self, content: bytes) -> bytes:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(content, error) from error
        return content

    def learned(self, contents: Iterable[bytes]) -> dict[str, Any]:
        """`vocabulary`: the words of most texts, sorted; of equally frequent ones those that come first."""
        texts: collections.Counter[str] = collections.Counter()
        for content in itertools.islice(contents, self.LEARNS):
            texts.update(set(_words(content.decode("utf-8", "replace"))))
        known = sorted(
            (word for word, count in texts.items() if count >= _TEXTS), key=lambda word: (-texts[word], word)
        )
        return {"vocabulary": sorted(known[:_VOCABULARY])}

    def watcher(self, learned: Mapping[str, Any] | None = None) -> base.Watcher:
        """Lengths, the share of words that are not in the vocabulary, and of characters beyond ASCII."""
        vocabulary = frozenset((learned or {}).get("vocabulary", ()))

        def watch(content: bytes) -> dict[str, float | str | None]:
            found: dict[str, float | str | None] = dict.fromkeys(self.SIGNALS)
            found["empty"] = "no" if content.strip() else "yes"
            try:
                facts = self.admit(content)
            except base.Refused:
                return found | {"readable": base.UNREADABLE}
            text = content.decode("utf-8")
            if vocabulary:
                words = _words(text)
                found["unknown_words"] = sum(word not in vocabulary for word in words) / len(words) if words else None
            beyond = (len(text) - len(text.encode("ascii", "ignore"))) / len(text)
            return found | dict(facts) | {"non_ascii": beyond, "readable": base.READABLE}

        return watch


def _words(text: str) -> list[str]:
    """Words in small letters; of a very long one the beginning."""
    return [word[:_LONGEST_WORD] for word in _WORD.findall(text.casefold())]


def _not_utf8(content: bytes, error: UnicodeDecodeError) -> base.Refused:
    return base.Refused("not_utf8", f"byte {error.start} is 0x{content[error.start]:02x}: {error.reason}")


def _rows(contents: base.Contents, columns: int, vectorizers: Sequence[Any]) -> np.ndarray:
    """float32 [n, columns]; sparse until they are put into their rows, some texts at a time."""
    rows = np.zeros((len(contents), columns), np.float32)
    texts = (content.decode("utf-8", "replace") for content in contents)
    start = 0
    while some := list(itertools.islice(texts, _AT_ONCE)):
        parts = [vectorizer.transform(some).toarray() for vectorizer in vectorizers]
        rows[start : start + len(some)] = np.hstack(parts)
        start += len(some)
    return rows
