"""Sentences, words and languages of plain text."""

import copy
import functools
import math
import re
from collections import Counter, defaultdict
from typing import Any

import sentencex

# Marks that belong to the letter before them and are no letters to `re`: accents, and the vowel
# signs of Hindi and Thai.
MARKS = (
    "\u0300-\u036f\u0900-\u0903\u093a-\u093c\u093e-\u094f\u0951-\u0957\u0962\u0963"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
)
_WORD = re.compile(rf"[\w{MARKS}]+(?:[-'’.,][\w{MARKS}]+)*")
LANGUAGES = ("en", "de", "fr", "it", "pt", "hi", "es", "th")  # those of the model behind the engine
_LATIN = ("en", "de", "fr", "it", "pt", "es")
_LETTER = re.compile(r"[^\W\d_]")
_LETTER_OF = {
    "th": re.compile("[\u0e01-\u0e2e]"),
    "hi": re.compile("[\u0904-\u0939\u0958-\u0961]"),
    "latin": re.compile("[A-Za-z\u00aa-\u024f]"),
}
# Six words of a question are little for a model of letters; these say more. None is a word that
# names anything, so they are the same in every trade.
_SMALL_WORDS = {
    "en": "a an the of to in on at for from by with and or not is are was were be do does did have"
    " has can could may must should will what which who whom whose when where why how i my we our"
    " you your it there this that be any many much",
    "de": "der die das den dem des ein eine einen einem einer und oder nicht ist sind war wird"
    " werden wurde hat habe haben kann darf muss was wer wen wem wo wann warum wie welche welcher"
    " welches welchen für mit von vom zu zum zur in im am an auf bei aus nach über ab bis ich mein"
    " meine wir unser unsere sie es gibt viel viele",
    "fr": "le la les l un une des du de d à au aux en dans sur par pour avec chez et ou ne pas est"
    " sont était a ai ont peut puis dois faut qui que qu quoi quel quelle quels quelles où quand"
    " pourquoi comment combien je j mon ma mes nous notre nos vous votre il elle ce cette se s y",
    "it": "il lo la i gli le l un uno una di del dello della dei degli delle d a al alla da dal"
    " dalla in nel nella su per con e o non è sono era ha ho hanno può posso devo deve chi che cosa"
    " cos quale quali quando perché come dove dov quanto quanti quanta quante io mio mia noi nostro"
    " nostra si c",
    "pt": "o a os as um uma de do da dos das em no na nos nas ao à por pelo pela para com e ou não"
    " é são foi era está tem tenho pode posso devo deve quem que qual quais quando porque como onde"
    " quanto quantos quanta quantas eu meu minha nós nosso nossa se",
    "es": "¿ el la los las un una de del a al en por para con sobre desde y o no es son fue era"
    " está hay ha he tiene tengo puede puedo debo debe quién quien qué que cuál cual cuáles cuándo"
    " cuando cómo como dónde donde cuánto cuántos cuánta cuántas yo mi mis nosotros nuestro nuestra"
    " se me le",
}
_SMALL_WORD = re.compile(r"¿|[^\W\d_]+")
SMALL_WORD_WEIGHT = 2.0  # log odds of a word that one language alone has; 1 to 4 do as well
LIKELY = 0.5  # below it a question is names or codes, of no language
OTHER_LIKELY = 0.9  # for a language outside LANGUAGES in the same letters


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


def question_language(text: str, *, fallback: str = "en") -> str:
    """ISO 639-1 code of the language that a question of a few words is asked in.

    One of LANGUAGES, unless it is clearly another; `fallback` where nothing tells, as for a name,
    a number or a code.
    """
    sample = text[:1000]
    n_letters = Counter({name: len(of.findall(sample)) for name, of in _LETTER_OF.items()})
    if n_letters["th"] + n_letters["hi"] > 0.2 * n_letters.total():  # the rest are names
        return "th" if n_letters["th"] >= n_letters["hi"] else "hi"
    language, probability = _identifier().classify(sample)
    if n_letters["latin"] < 0.5 * len(_LETTER.findall(sample)):
        return str(language) if probability > LIKELY else fallback
    if language not in LANGUAGES and probability > OTHER_LIKELY:
        return str(language)
    language, probability = _latin_language(sample)
    return language if probability > LIKELY else fallback


def _latin_language(text: str) -> tuple[str, float]:
    """The likeliest of the six languages in Latin letters, and its probability."""
    odds = {language: math.log(p + 1e-9) for language, p in _latin_identifier().rank(text)}
    for word in set(_SMALL_WORD.findall(text.lower())):
        languages = _languages_of_word().get(word, ())
        for language in languages:
            odds[language] += SMALL_WORD_WEIGHT / len(languages)
    best = max(odds, key=lambda language: odds[language])
    return best, 1 / sum(math.exp(value - odds[best]) for value in odds.values())


@functools.cache
def _languages_of_word() -> dict[str, list[str]]:
    languages = defaultdict(list)
    for language, small in _SMALL_WORDS.items():
        for word in dict.fromkeys(small.split()):
            languages[word].append(language)
    return dict(languages)


@functools.cache
def _latin_identifier() -> Any:
    identifier = copy.copy(_identifier())  # shares the model's arrays
    identifier.set_languages(_LATIN)
    return identifier
