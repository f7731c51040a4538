"""From texts to counts of words, by scikit-learn's counter of words."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from .. import texts
from ..sparse import Sparse, of_scipy
from .options import DocumentOptions, Unit

WORD = r"(?u)\b[^\W\d_][\w'’-]*\w\b"
"""Words of two characters at least that begin with a letter."""
LONG = 12.0
"""Mean length of words from which a script probably does without spaces."""


def learn(known: Sequence[str], options: DocumentOptions, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the words that count in some training texts: those of a list, or those that are neither rare nor usual.

    Raises:
        InputError: There is none.
    """
    counter = counter_for(options.unit, lower=options.lower, words=given)
    if given is not None:
        return given
    stop = _stop_words(options)
    counts = _counts(counter, known, fit=True)
    words = counter.get_feature_names_out() if counts is not None else np.empty(0, object)
    if counts is not None:
        within = np.bincount(counts.indices, minlength=len(words))
        total = np.asarray(counts.sum(0)).ravel()
        keep = (within >= options.least) & (within <= options.most_share * len(known))
        keep &= ~np.isin(words.astype(str), list(stop)) if stop else True
        best = np.flatnonzero(keep)[np.argsort(-total[keep], kind="stable")[: options.max_words]]
        words = words[np.sort(best)]
    if not len(words):
        raise InputError(
            f"Words count that are in {options.least} training documents at least and in {options.most_share:.0%} of "
            "them at most, but there is none. Lower least, raise most_share, or give more documents."
        )
    return tuple(str(w) for w in words)


def count(found: Sequence[str], words: Sequence[str], unit: Unit, *, lower: bool) -> Sparse:
    """Return how often each text has each word.

    Example:
        >>> count(["A dog, a cat. A dog!", "Cats"], ["cat", "dog"], "words", lower=True).dense(np.arange(2)).tolist()
        [[1.0, 2.0], [0.0, 0.0]]
    """
    made = _counts(counter_for(unit, lower=lower, words=tuple(words)), found, fit=False)
    return of_scipy(made, "the texts")


def counter_for(unit: Unit, *, lower: bool, words: tuple[str, ...] | None = None) -> Any:
    """Return scikit-learn's counter: of words, or of pairs of letters that follow one another within a word."""
    from sklearn.feature_extraction.text import CountVectorizer

    known = _numbers(words)
    if unit == "pairs":
        return CountVectorizer(analyzer=PairsOfLetters(lower=lower), vocabulary=known)
    return CountVectorizer(lowercase=False, preprocessor=Normal(lower=lower), token_pattern=WORD, vocabulary=known)


def pairs_of(text: str) -> list[str]:
    """Return the pairs of letters that follow one another, within what no space or sign divides.

    Example:
        >>> pairs_of("猫が寝る。")
        ['猫が', 'が寝', '寝る']
    """
    return [a + b for a, b in itertools.pairwise(text) if a.isalpha() and b.isalpha()]


class Normal:
    """Unicode's form NFC, in small letters or not."""

    def __init__(self, *, lower: bool) -> None:
        self.lower = lower

    def __call__(self, text: str) -> str:
        """Return the text."""
        made = unicodedata.normalize("NFC", text)
        return made.lower() if self.lower else made


class PairsOfLetters(Normal):
    """The pairs of letters of a text in its normal form."""

    def __call__(self, text: str) -> Any:
        """Return them."""
        return pairs_of(super().__call__(text))


def without_spaces(found: Sequence[str]) -> bool:
    """Whether texts seem to be written without spaces between words.

    Example:
        >>> without_spaces(["犬が公園で元気に走り回っている"]), without_spaces(["a dog runs"])
        (True, False)
    """
    words = [word for text in found[:200] for word in text.split()]
    return bool(words) and sum(map(len, words)) / len(words) > LONG


def read_words(path: str, encoding: str | None) -> tuple[str, ...]:
    """Return the words of a file, the first cell of each line.

    Raises:
        InputError: It has none, or one of them twice.
    """
    found = tuple(line.split()[0] for line in texts.read(path, column=None, label=None, encoding=encoding).texts)
    if not found:
        raise InputError(f"A vocabulary has a word a line, but {path!r} has none. Check the file.")
    return need_different(found, repr(path))


def need_different(words: tuple[str, ...], origin: str) -> tuple[str, ...]:
    """Return words of which each is there once.

    Raises:
        InputError: One is there twice.
    """
    seen: set[str] = set()
    for word in words:
        if word in seen:
            raise InputError(f"Each word has one place, but {origin} has {word!r} twice. Leave one of them out.")
        seen.add(word)
    return words


def _counts(counter: Any, found: Sequence[str], *, fit: bool) -> Any:
    try:
        return counter.fit_transform(found) if fit else counter.transform(found)
    except ValueError as err:
        if "empty vocabulary" in str(err):
            return None
        raise


def _numbers(words: tuple[str, ...] | None) -> dict[str, int] | None:
    return None if words is None else {word: i for i, word in enumerate(words)}


def _stop_words(options: DocumentOptions) -> frozenset[str]:
    if options.stop_words == "none":
        return frozenset()
    if options.stop_words == "english":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return frozenset(ENGLISH_STOP_WORDS)
    return frozenset(read_words(options.stop_words, options.encoding))
