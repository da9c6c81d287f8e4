"""Bytes to text: byte order marks, UTF-8, UTF-16 and -32 without a mark, then old code pages."""

import codecs
import re
from pathlib import Path

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 64 * 1024
_MAX_CONTROL_SHARE = 0.01  # of a text's characters; binary data has a tenth and more
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WESTERN = re.compile("[A-Za-z\u00c0-\u00ff\u0153\u0161\u017e]")


def read_text(path: Path) -> str:
    """A file's text, whatever its encoding; what cannot be decoded becomes U+FFFD."""
    data = path.read_bytes()
    return decode(data)


def decode(data: bytes) -> str:
    """Bytes as text, whatever their encoding; what cannot be decoded becomes U+FFFD."""
    return data.decode(encoding_of(data), errors="replace")


def decode_sample(head: bytes) -> str | None:
    """The beginning of a file as text, or None if it is no text."""
    text = head.decode(encoding_of(head), errors="replace").removesuffix("\ufffd")
    if len(_CONTROL.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        return None
    if text.count("\ufffd") > _MAX_CONTROL_SHARE * len(text):
        return None
    return text


def encoding_of(data: bytes) -> str:
    """The name of the codec that most likely wrote these bytes."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return name
    sample = data[:_SAMPLE_BYTES]
    if b"\0" in sample:
        return _wide_encoding(sample)
    try:
        is_whole = len(data) < _SAMPLE_BYTES  # else its last character may be cut
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        return _code_page(sample)
    return "utf-8"


def _wide_encoding(sample: bytes) -> str:
    """UTF-16 or -32 by where the zero bytes of its ASCII characters are."""
    zeros = [sample[place::4].count(0) / (len(sample) / 4) for place in range(4)]
    often = [share > 0.4 for share in zeros]
    patterns = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return patterns.get((often[0], often[1], often[2], often[3]), "utf-8")


def _code_page(sample: bytes) -> str:
    """Windows-1252 where its letters make words with ASCII ones; else by statistics."""
    text = sample.decode("cp1252", errors="replace")
    odd = [index for index, char in enumerate(text) if ord(char) > 127]
    letters = sum(1 for char in text if char.isalpha())
    fitting = sum(1 for index in odd if _fits_western(text, index))
    if fitting >= 0.8 * len(odd) and len(odd) <= 0.4 * letters:
        return "cp1252"
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"


def _fits_western(text: str, index: int) -> bool:
    char = text[index]
    if (
        char
        in "\u2018\u2019\u201c\u201d\u201e\u2013\u2014\u2026\u2022\u20ac\xa0\xab\xbb\xa7\xae\xa9"
    ):
        return True
    neighbours = text[max(index - 1, 0) : index] + text[index + 1 : index + 2]
    return bool(_WESTERN.match(char)) and bool(re.search("[A-Za-z ]", neighbours or " "))
