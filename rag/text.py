"""Sentences, words and languages of plain text."""

import functools
import re
from typing import Any

import sentencex

_WORD = re.compile(r"\w+(?:[-'’.,]\w+)*")
LANGUAGES = ("en", "de", "fr", "it", "pt", "hi", "es", "th")  # those of the model behind the engine


def sentence_spans(text: str, language: str = "en") -> list[tuple[int, int]]:
    """Half-open spans of the sentences of `text`, without surrounding white space.

    A line break never ends a sentence by itself; a blank line always does.
    """
    spans = []
    for boundary in sentencex.get_sentence_boundaries(language or "en", text):
        start, end = boundary["start_index"], boundary["end_index"]
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if start < end:
            spans.append((start, end))
    return spans


def title_of_name(name: str) -> str:
    """A title for a document that has none but its file's name."""
    stem = name.rsplit(".", 1)[0] if "." in name[1:] else name
    return " ".join(stem.replace("_", " ").split()) or name


def words(text: str) -> list[str]:
    """Lower-case words and numbers; `12,500.00` and `ISO-27001` stay whole."""
    return _WORD.findall(text.lower())


def valid_unicode(text: str) -> str:
    """The text with a ? for each lone surrogate, as an argument that is not UTF-8 has them.

    Neither tokenizers nor databases nor JSON take them.
    """
    return text.encode(errors="replace").decode()


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def detect_language(text: str) -> str:
    """ISO 639-1 code of the language that most of `text` is in; English for very short texts."""
    sample = text[:4000]
    if len(sample) < 20:
        return "en"
    language, probability = _identifier().classify(sample)
    return str(language) if probability > 0.8 else "en"
