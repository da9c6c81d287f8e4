"""Text made ready for Tantivy's tokenizers, where these alone can't tell the words apart.

Thai, Lao, Khmer, Burmese, Chinese and Japanese write no spaces between words: ICU's dictionaries
set them apart. Hindi has a stemmer, but Tantivy lacks it. What can be spelt in two ways in Unicode
gets one spelling, and so does a year or a quarter. Text that needs none of this comes back as it
is, after one look.
"""

import functools
import re
import unicodedata

from icu4py.breakers import WordBreaker
from snowballstemmer.hindi_stemmer import HindiStemmer

from rag.search.periods import with_periods

HINDI, THAI = "hi", "th"
# Words that carry no meaning, spelt as `prepared` leaves them, Hindi ones before their stem is
# taken. What is also a word of the trade is not among them: "कर" is "do", and "tax".
_HINDI = (
    "के का की को में है हैं से और पर ने यह वह ये वे था थी थे हो होता होती होते होना हुआ हुई हुए"
    " तो भी ही या कि जो एक इस उस इन उन इसे उसे इसके उसके लिए साथ तक तथा एवं किया किए गया गई गए दिया"
    " रहा रही रहे सकता सकती सकते जाता जाती जाते क्या कौन कब कहां क्यों कैसे कैसा कितना कितनी कितने"
    " किस किसने किसे किसका किसकी किसके किन सा सी मैं मुझे मेरा मेरी मेरे हम हमें हमारा हमारी हमारे आप"
    " आपका आपकी आपके अपना अपनी अपने न नहीं"
)
_THAI = (
    "ที่ ของ และ ใน เป็น ได้ มี การ ความ จะ ให้ กับ ก็ ว่า ไม่ นี้ นั้น คือ อะไร ใคร เมื่อ เมื่อไร ไหร่ เท่าไร"
    " กี่ ไหน ที่ไหน ใด ทำไม อย่าง อย่างไร ไหม หรือ โดย จาก ไป มา แล้ว อยู่ ต้อง ซึ่ง ถึง เพื่อ แต่ ต่อ ผม ฉัน"
    " ดิฉัน เรา คุณ เขา ครับ ค่ะ คะ นะ ด้วย ถูก บ้าง อัน"
)
STOP_WORDS = frozenset(_HINDI.split()) | frozenset(_THAI.split())
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_UNSPACED += "\U00020000-\U0003ffff"
_SPECIAL = re.compile(f"[\u0300-\u036f\u0900-\u097f{_UNSPACED}]")
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_DEVANAGARI_WORD = re.compile("[\u0900-\u0963\u0971-\u097f]+")
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")
# A sara am in two parts, as PDF files have it, with its tone mark before or between them.
_SARA_AM = re.compile("([\u0e48-\u0e4b]?)\u0e4d([\u0e48-\u0e4b]?)\u0e32")
# Signs that writers of Hindi leave out or exchange: the dot below, and the moon for a dot above.
_SIGNS = str.maketrans({"\u093c": None, "\u0901": "\u0902"})
_DIGITS = str.maketrans({chr(zero + n): str(n) for zero in (0x0966, 0x0E50) for n in range(10)})


def prepared(text: str, language: str, *, content: bool = False) -> str:
    """The text with a space between words, each spelt in one way; as stems in a Hindi document.

    Years and quarters have plain words beside them (`rag.search.periods`).
    With `content`, Hindi and Thai words that carry no meaning are left out, whatever the language
    of the document they stand in.
    """
    text = with_periods(text)
    if not _SPECIAL.search(text):
        return text
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_DIGITS)
    stop = STOP_WORDS if content else frozenset[str]()
    text = _SARA_AM.sub("\\1\\2\u0e33", text).replace("\u0e40\u0e40", "\u0e41")
    text = _UNSPACED_RUN.sub(lambda run: _spaced(run[0], stop), text)
    return _DEVANAGARI_WORD.sub(lambda word: _hindi(word[0], language, stop), text)


def _spaced(run: str, stop: frozenset[str]) -> str:
    words = [word for word in WordBreaker(run, THAI) if word not in stop]
    return f" {' '.join(words)} "


def _hindi(word: str, language: str, stop: frozenset[str]) -> str:
    word = word.translate(_SIGNS)
    if word in stop:
        return " "
    return _hindi_stem(word) if language == HINDI else word


@functools.lru_cache(maxsize=65536)
def _hindi_stem(word: str) -> str:
    return str(HindiStemmer().stemWord(word))  # a new one each time: it keeps its word in itself
