"""Numbers in text: how they are written in eight languages, and whether two say the same.

A number keeps every reading that its spelling allows (`1.234` is 1234 or 1.234), its scale
("million") and its unit; two agree where one reading of each is the same and neither scale nor unit
stands against it. Nothing is converted and nothing is computed, but for the rounding that a scale
word announces: "$82.96 billion" is what a table in millions gives as 82,959.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

MIN_ROUNDED_DIGITS = 3  # fewer are too often the same by chance
WORD_COUNTS_FROM = 4  # "two plans" is seldom said by what lists them; "two days" is

_UNITS = {
    "%": "% percent pct prozent pourcent pour\u00a0cent por\u00a0ciento por\u00a0cento"
    " per\u00a0cento per\u00a0cent प्रतिशत เปอร์เซ็นต์",
    "usd": "$ us$ usd dollar dollars dolar dolares dollari डॉलर ดอลลาร์",
    "eur": "€ eur euro euros यूरो ยูโร",
    "gbp": "£ gbp",
    "chf": "chf franken",
    "jpy": "¥ jpy yen",
    "inr": "₹ inr rs rupee rupees रुपये रुपए",
    "thb": "฿ thb baht บาท",
    "second": "seconds sekunde sekunden secondes segundos secondi",
    "minute": "min minute minutes minuten minuto minutos minuti मिनट นาที",
    "hour": "h hr hrs hour hours stunde stunden heure heures ora ore hora horas घंटे ชั่วโมง",
    "day": "day days tag tage tagen jour jours giorno giorni dia dias दिन दिनों วัน",
    "week": "week weeks woche wochen semaine semaines settimana settimane semana semanas"
    " सप्ताह สัปดาห์",
    "month": "month months monat monate monaten mois mese mesi mes meses महीने माह เดือน",
    "year": "year years yr yrs jahr jahre jahren an ans annee annees anno anni ano anos año años"
    " साल वर्ष ปี",
    "km": "km kilometer kilometers kilometre kilometres kilometern",
    "mile": "mile miles meile meilen",
    "m": "meter meters metre metres metern metri metros",
    "cm": "cm",
    "mm": "mm",
    "kg": "kg kilogram kilograms kilogramm kilo kilos",
    "g": "g gram grams gramm",
    "mg": "mg",
    "t": "tonne tonnes tonnen tons",
    "l": "l liter liters litre litres litri litros",
    "ml": "ml",
    "kwh": "kwh",
    "mw": "mw",
    "kw": "kw",
    "kb": "kb",
    "mb": "mb",
    "gb": "gb",
    "tb": "tb",
    "°c": "°c celsius",
    "°f": "°f fahrenheit",
    "bp": "bps",
}
UNITS = {
    word.replace("\u00a0", " "): unit for unit, line in _UNITS.items() for word in line.split(" ")
}
_COMPOUNDS = ("tage", "tagen", "monate", "monaten", "stunden", "wochen", "jahre", "jahren")
_SCALES = {
    3: "thousand tsd tausend mille mila mil k हज़ार हजार พัน",
    5: "lakh lakhs लाख แสน",
    6: "million millions mio mn millionen milioni milione millones milhoes milhao mln ล้าน",
    7: "crore crores करोड़",
    9: "billion billions bn milliarde milliarden mrd milliards milliard miliardi bilhoes bilhao",
    12: "trillion trillions billionen",
}
SCALES = {word: exponent for exponent, all_ in _SCALES.items() for word in all_.split()}
_NOT_UNITS = (
    "per a an pro par al por im in of and to or und oder bis et ou y o e je each every the von del"
    " da de des du à is are was were for if"
)
_NOT_SKIPPED = frozenset(_NOT_UNITS.split())
_RANGE_WORDS = "- – — to bis à a y e and und et ou or oder until hasta fino até"
_CONNECTORS = frozenset(_RANGE_WORDS.split())

_NUMBER = re.compile(
    r"(?P<currency>(?:US\$|[$€£¥₹฿]|\b(?:USD|EUR|GBP|CHF|JPY|INR)\b)\s?)?"
    r"(?P<number>(?<!\d)\d{1,3}(?:\u0020\d{3})+(?!\d)(?:[.,]\d+)?"
    r"|\d+(?:[.,'’:\u00a0\u202f\u2009]\d+)*)"
    r"(?P<suffix>(?:st|nd|rd|th|er|º|ª)\b)?"
)
_SIGNS = r"\u0900-\u0963\u0970-\u097f\u0e31-\u0e4e"  # vowel signs, which are no letters to `re`
_AFTER = re.compile(rf"(?:\s|-|\u2011)*((?:[^\W\d_]|[{_SIGNS}])+\$?|[%$€£¥₹฿]|°[CF]|[–—-])")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)?")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written. `start:end` is its span, unit and scale included."""

    text: str
    values: frozenset[Decimal]  # the readings; empty where it is none, as in 1.2.3
    literal: str  # digits and separators as written
    scale: int = 0  # a power of ten that a word gives
    unit: str = ""
    ordinal: bool = False
    start: int = 0
    end: int = 0


def numbers(text: str, language: str, *, words: bool = True) -> list[Number]:
    """The numbers of a text in order; those in words too, where the language's are known."""
    found = [_number(text, match) for match in _NUMBER.finditer(text)]
    found = [_with_range_unit(text, found, i) for i in range(len(found))]
    if words:
        found += _in_words(text, language)
    return sorted(found, key=lambda number: number.start)


def agree(said: Number, known: Number) -> bool:
    """Whether `known` bears out what is `said`."""
    if said.unit and known.unit and said.unit != known.unit:
        return False
    if not said.values or not known.values:
        return said.literal == known.literal
    if _totals(said) & _totals(known):
        return True
    same = bool(said.values & known.values)
    if same and (said.scale == known.scale or not known.scale or not (said.scale or said.unit)):
        return True
    return bool(said.scale) and any(_rounded(said, value, known) for value in known.values)


def apart(number: Number) -> list[Number]:
    """The groups of digits between blanks as numbers of their own: cells of a row, perhaps."""
    parts = number.literal.split(" ")
    return [replace(number, literal=part, values=readings(part)) for part in parts]


def digits_folded(text: str) -> str:
    """The text with the digits of every script as 0-9; offsets stay."""
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(char)) if char > "\x7f" and char.isdecimal() else char
        for char in text
    )


def fold(word: str) -> str:
    """Small letters without accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in decomposed if not "\u0300" <= char <= "\u036f")


def _totals(number: Number) -> set[Decimal]:
    return {value.scaleb(number.scale) for value in number.values}


def _rounded(said: Number, value: Decimal, known: Number) -> bool:
    """Whether `value`, written with more digits, gives what is said when rounded to its digits."""
    for spoken in said.values:
        n_digits = len(spoken.as_tuple().digits)
        if value == 0 or n_digits < MIN_ROUNDED_DIGITS or len(_significant(value)) <= n_digits:
            continue
        factor = spoken.scaleb(said.scale) / value.scaleb(known.scale)
        shift = round(float(factor.log10()))
        if shift % 3 or shift < 0:
            continue
        exponent = spoken.as_tuple().exponent
        moved = value.scaleb(known.scale + shift - said.scale)
        if isinstance(exponent, int) and moved.quantize(Decimal(1).scaleb(exponent)) == spoken:
            return True
    return False


def _significant(value: Decimal) -> tuple[int, ...]:
    return value.normalize().as_tuple().digits


def _number(text: str, match: re.Match[str]) -> Number:
    literal = match["number"]
    unit = UNITS.get(fold((match["currency"] or "").strip()), "")
    scale, end = 0, match.end()
    ordinal = match["suffix"] is not None
    if not ordinal:
        found, scale, end = _unit_after(text, match.end(), money=bool(unit))
        unit = unit or found
    return Number(
        text=text[match.start() : end].strip(),
        values=readings(literal),
        literal=literal,
        scale=scale,
        unit=unit,
        ordinal=ordinal,
        start=match.start(),
        end=end,
    )


def _unit_after(text: str, at: int, *, money: bool = False) -> tuple[str, int, int]:
    """Unit, scale and end of what stands after a number: "million euro", "business days"."""
    scale, end, skipped = 0, at, 0
    while (match := _AFTER.match(text, at)) is not None:
        word = fold(match[1])
        if text[match.start() : match.start(1)].count("\n"):
            break
        pair = re.match(r"\s+(cent|ciento|cento)\b", text[match.end() :])
        if pair and word in ("per", "por", "pour"):
            return "%", scale, match.end() + pair.end()
        if not scale and word in SCALES and not skipped:
            scale, end = SCALES[word], match.end()
        elif money and not scale and word in ("m", "b") and not skipped:
            return "", 6 if word == "m" else 9, match.end()
        elif unit := UNITS.get(word) or _part(word):
            return unit, scale, match.end()
        else:
            skipped += 1
            if skipped > 1 or word in _NOT_SKIPPED or money:
                break
        at = match.end()
        if text[at : at + 1] == "." and word in SCALES:
            at = end = at + 1
    return "", scale, end


def _part(word: str) -> str:
    """The unit that ends a German compound, or begins a Thai text, which has no blanks."""
    if "\u0e00" <= word[0] <= "\u0e7f":
        beginnings = (word[:n] for n in range(len(word), 1, -1))
        return next((UNITS[beginning] for beginning in beginnings if beginning in UNITS), "")
    ending = next((ending for ending in _COMPOUNDS if word.endswith(ending)), "")
    return UNITS.get(ending, "")


def _with_range_unit(text: str, found: list[Number], i: int) -> Number:
    """ "10 to 15 percent" is 10 percent to 15 percent."""
    number = found[i]
    if number.unit or i + 1 == len(found):
        return number
    following = found[i + 1]
    between = text[number.end : following.start].strip().casefold()
    if between not in _CONNECTORS or not following.unit:
        return number
    return replace(number, scale=number.scale or following.scale, unit=following.unit)


def readings(literal: str) -> frozenset[Decimal]:
    """What a spelling in digits may mean: `1.234` is 1234 or 1.234."""
    if ":" in literal:
        hour, _, rest = literal.partition(":")
        return frozenset({Decimal(hour)}) if rest.strip("0:") == "" else frozenset()
    plain = re.sub(r"[\s'’\u00a0\u202f\u2009]", "", literal)
    points = [char for char in plain if char in ".,"]
    if not points:
        return frozenset({Decimal(plain)})
    if len(set(points)) == 2:
        if points.count(points[-1]) > 1:
            return frozenset()
        whole, _, part = plain.rpartition(points[-1])
        return frozenset({_decimal(re.sub(r"[.,]", "", whole), part)})
    groups = re.split(r"[.,]", plain)
    grouped = all(len(group) in (2, 3) for group in groups[1:-1]) and len(groups[-1]) == 3
    joined = {Decimal("".join(groups))} if grouped and len(groups[0]) <= 3 else set()
    if len(groups) > 2:
        return frozenset(joined)
    if groups[0].lstrip("0") == "":
        joined = set()
    return frozenset(joined | {_decimal(groups[0], groups[1])})


def _decimal(whole: str, part: str) -> Decimal:
    return Decimal(f"{whole or '0'}.{part}")


# Numbers in words

_UNTIL_20 = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn"
    " fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze"
    " seize dix-sept dix-huit dix-neuf vingt",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici"
    " quattordici quindici sedici diciassette diciotto diciannove venti",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze"
    " dezesseis dezessete dezoito dezenove vinte",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince"
    " dieciséis diecisiete dieciocho diecinueve veinte",
}
_TENS = {
    "en": "thirty forty fifty sixty seventy eighty ninety hundred",
    "de": "dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert",
    "fr": "trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent",
    "it": "trenta quaranta cinquanta sessanta settanta ottanta novanta cento",
    "pt": "trinta quarenta cinquenta sessenta setenta oitenta noventa cem",
    "es": "treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
}
_ORDINALS = {
    "en": "first second third fourth fifth sixth seventh eighth ninth tenth",
    "de": "erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte",
    "fr": "premier deuxième troisième quatrième cinquième sixième septième huitième neuvième"
    " dixième",
    "it": "primo secondo terzo quarto quinto sesto settimo ottavo nono decimo",
    "pt": "primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono décimo",
    "es": "primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo",
}


def _word_values(language: str) -> dict[str, int]:
    low = [fold(word) for word in _UNTIL_20[language].split()]
    tens = [low[20], *map(fold, _TENS[language].split())]  # 20, 30 … 100
    values = dict(zip(low, range(21), strict=True))
    values |= {word: 10 * i for i, word in enumerate(tens, 2)}
    for i, ten in enumerate(tens[:8], 2):
        for one in range(1, 10):
            if language == "en":
                values[f"{ten}-{low[one]}"] = 10 * i + one
            elif language == "de":
                values[f"{'ein' if one == 1 else low[one]}und{ten}"] = 10 * i + one
            elif language == "it":
                values[f"{ten[:-1] if one in (1, 8) else ten}{low[one]}"] = 10 * i + one
    return values


_WORD_VALUES = {language: _word_values(language) for language in _UNTIL_20}
_ORDINAL_VALUES = {
    language: {fold(word): i for i, word in enumerate(all_.split(), 1)}
    for language, all_ in _ORDINALS.items()
}


def _in_words(text: str, language: str) -> Iterator[Number]:
    values, ordinals = _WORD_VALUES.get(language, {}), _ORDINAL_VALUES.get(language, {})
    for match in _WORD.finditer(text):
        word = fold(match[0])
        ordinal = word not in values
        value = values.get(word, ordinals.get(word, ordinals.get(word[:-1])))
        if value is None:
            continue
        unit, scale, end = ("", 0, match.end()) if ordinal else _unit_after(text, match.end())
        if scale and not unit and value < 2:
            continue
        written = text[match.start() : end]
        yield Number(
            written, frozenset({Decimal(value)}), "", scale, unit, ordinal, match.start(), end
        )


def is_said(number: Number) -> bool:
    """Whether a number in a claim is one that a passage has to bear out: "one" often is none."""
    if number.literal:
        return True
    value = next(iter(number.values))
    if number.ordinal or value < 2:
        return False
    return bool(number.unit or number.scale) or value >= WORD_COUNTS_FROM
