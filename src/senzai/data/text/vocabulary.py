"""Symbols of texts: words, characters or pieces of words, each a number; and the exact way back."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from senzai.core.extras import need

from ..schema import Frozen
from ..symbols import NAMES, UNKNOWN

Unit: TypeAlias = Literal["words", "characters", "bpe"]

SHOWN_UNKNOWN = "⟨?⟩"
"""What stands in a text for a symbol that nobody knows."""
WORD = re.compile(r"[^\W_]+(?:['’\-_][^\W_]+)*|[^\w\s]|_+")
LONG = 12.0
"""Mean length of words above which a script does without spaces."""
COVERED = 0.9


class TextDetails(Frozen):
    """How texts become numbers.

    Args:
        unit: What a symbol is.
        symbols: Every symbol by its number; the first two stand for the end of a text and for what is unknown.
        lower: Whether texts are written in small letters.
        form: Unicode's normal form.
        column: Column of a table that holds the texts.
        merges: The trained pieces of words, as the tokenizers library writes them (JSON).
        most: Symbols that a text may have; longer ones are cut.
    """

    unit: Unit
    symbols: tuple[str, ...]
    lower: bool = False
    form: Literal["NFC"] = "NFC"
    column: str | None = None
    merges: str | None = None
    most: int


def normal(text: str, *, lower: bool, unit: Unit) -> str:
    r"""Return a text in Unicode's form NFC; for words, spaces of any sort and number are one space.

    Example:
        >>> normal(" e\u0301tude  \n No. 1", lower=False, unit="words")
        'étude No. 1'
    """
    made = unicodedata.normalize("NFC", text)
    made = made.lower() if lower else made
    return " ".join(made.split()) if unit == "words" else made


def words_of(text: str) -> list[str]:
    """Return words and signs of a text; one that follows a space begins with it, as does the first.

    Example:
        >>> words_of("It's late, isn't it?")
        [" It's", ' late', ',', " isn't", ' it', '?']
    """
    found = []
    for match in WORD.finditer(text):
        apart = match.start() == 0 or text[match.start() - 1].isspace()
        found.append(" " + match[0] if apart else match[0])
    return found


def unit_for(texts: Sequence[str], most: int) -> Unit:
    """Return what symbols suit some texts: words, or characters where a script has no spaces or words hardly repeat.

    Example:
        >>> unit_for(["a dog barks", "a cat sleeps", "a dog sleeps"], 10)
        'words'
        >>> unit_for(["犬が公園で吠えている", "猫が家で静かに寝ている"], 10)
        'characters'
    """
    counts = Counter(word for text in texts for word in words_of(text))
    total = sum(counts.values())
    if not total:
        return "characters"
    unspaced = sum(len(w) * n for w, n in counts.items() if not w.isascii() and not w[-1].isascii())
    length = sum(len(w) * n for w, n in counts.items()) / total
    covered = sum(n for _, n in counts.most_common(most)) / total
    cjk = unspaced > 0.5 * length * total and length > LONG / 2 and _without_spaces(texts)
    return "characters" if length > LONG or covered < COVERED or cjk else "words"


def _without_spaces(texts: Sequence[str]) -> bool:
    letters = sum(len(t) for t in texts)
    return sum(c.isspace() for t in texts for c in t) < 0.03 * letters


class Vocabulary:
    """From texts to numbers and back.

    Args:
        details: What was decided when the model was fitted.

    Example:
        >>> texts = ["a dog", "a cat", "a dog barks"]
        >>> words = learn(texts, unit="words", lower=False, most_symbols=10, least=1, most=9)
        >>> v = Vocabulary(words)
        >>> v.codes("a dog purrs"), v.text(v.codes("a cat"))
        ([2, 3, 1], 'a cat')
    """

    def __init__(self, details: TextDetails) -> None:
        self.details = details
        self._number = {symbol: i for i, symbol in enumerate(details.symbols)}
        self._bpe = None if details.merges is None else _tokenizers().Tokenizer.from_str(details.merges)

    def pieces(self, text: str) -> list[str]:
        """Return the symbols of a text as text, unknown ones too."""
        made = normal(text, lower=self.details.lower, unit=self.details.unit)
        if self._bpe is not None:
            return list(self._bpe.encode(made, add_special_tokens=False).tokens)
        return words_of(made) if self.details.unit == "words" else list(made)

    def codes(self, text: str) -> list[int]:
        """Return the numbers of a text's symbols, without the end."""
        return [self._number.get(piece, UNKNOWN) for piece in self.pieces(text)]

    def unknown(self, text: str) -> dict[int, str]:
        """Return the pieces of a text that are no symbol, by their place.

        Example:
            >>> words = learn(["a dog", "a cat"], unit="words", lower=False, most_symbols=9, least=1, most=9)
            >>> Vocabulary(words).unknown("a dog purrs")
            {2: ' purrs'}
        """
        return {t: piece for t, piece in enumerate(self.pieces(text)) if piece not in self._number}

    def text(self, codes: Iterable[int], own: Mapping[int, str] | None = None) -> str:
        """Return the text of some numbers, without the end; ``own`` has what stands at places of the unknown symbol."""
        known = list(codes)
        if self._bpe is not None:
            return str(self._bpe.decode([c for c in known if c != UNKNOWN], skip_special_tokens=False))
        apart = " " if self.details.unit == "words" else ""
        there = own or {}
        shown = (
            there.get(t, apart + SHOWN_UNKNOWN) if c == UNKNOWN else self.details.symbols[c]
            for t, c in enumerate(known)
        )
        made = "".join(shown)
        return made.removeprefix(" ") if self.details.unit == "words" else made


def learn(
    texts: Sequence[str], *, unit: Unit, lower: bool, most_symbols: int, least: int, most: int,
    column: str | None = None,
) -> TextDetails:
    """Return the symbols of some texts, the commonest first.

    Args:
        texts: Texts of the training rows alone.
        unit: What a symbol is.
        lower: Whether case is dropped.
        most_symbols: How many there are at most.
        least: How often a word or character must occur to have a symbol of its own.
        most: Symbols that a text may have.
        column: Column that held the texts.
    """
    made = [normal(text, lower=lower, unit=unit) for text in texts]
    if unit == "bpe":
        merges, symbols = _train(made, most_symbols)
        return TextDetails(unit=unit, symbols=symbols, lower=lower, column=column, merges=merges, most=most)
    counts = Counter(piece for text in made for piece in (words_of(text) if unit == "words" else text))
    ordered = sorted((-n, piece) for piece, n in counts.items() if n >= least)
    symbols = (*NAMES, *(piece for _, piece in ordered[:most_symbols]))
    return TextDetails(unit=unit, symbols=symbols, lower=lower, column=column, most=most)


def _tokenizers() -> Any:
    return need("tokenizers", extra="text", to="cut words into pieces")


def _train(texts: Sequence[str], size: int) -> tuple[str, tuple[str, ...]]:
    """Train pieces of words over bytes, so that every text has a way there and back."""
    lib = _tokenizers()
    made = lib.Tokenizer(lib.models.BPE())
    made.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = lib.decoders.ByteLevel()
    trainer = lib.trainers.BpeTrainer(
        vocab_size=size + len(NAMES), special_tokens=list(NAMES), show_progress=False,
        initial_alphabet=lib.pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(texts, trainer)
    number = made.get_vocab()
    return made.to_str(), tuple(sorted(number, key=number.__getitem__))
