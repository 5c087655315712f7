"""Writes properties.txt, two folders up: what the tokenizers library takes
characters for.

Made with Python 3.11 and tokenizers 0.23.3:

    python text/tokenizer/testdata/unicode/make.py

The library's parts follow different versions of Unicode, none of them Go's. Each
line is a property and the ranges of code points that have it, in hexadecimal.
"""

import os

from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P


def bert(clean=False, accents=False):
    return N.BertNormalizer(clean_text=clean, handle_chinese_chars=False, strip_accents=accents, lowercase=False)


def pieces(step, text):
    return len(step.pre_tokenize_str(text))


NFD, NFKD, NFC = N.NFD(), N.NFKD(), N.NFC()
CLEAN, ACCENTS, STRIP, LOWER = bert(clean=True), bert(accents=True), N.StripAccents(), N.Lowercase()
PUNCT, WORD, DIGITS, SCRIPT = P.Punctuation(), P.Whitespace(), P.Digits(True), P.UnicodeScripts()
LATER = chr(0x345)  # of class 240: marks of other classes go in front of it

properties = {
    "mark": lambda c: STRIP.normalize_str(c) == "",  # StripAccents
    "nonspacing": lambda c: ACCENTS.normalize_str("a" + c).endswith("a"),  # BertNormalizer
    "gone": lambda c: CLEAN.normalize_str(c) == "",  # BertNormalizer
    "punct": lambda c: pieces(PUNCT, "a" + c + "b") == 3,
    "word": lambda c: pieces(WORD, "a" + c + "b") == 1,
    "number": lambda c: pieces(DIGITS, "a" + c + "b") == 3,
    "anyscript": lambda c: pieces(SCRIPT, "a" + c) == 1 and pieces(SCRIPT, "\u0434" + c) == 1,
    "moves": lambda c: NFD.normalize_str("a" + LATER + c) not in ("a" + LATER + c, "a" + LATER + NFD.normalize_str(c)),
    "decomposes": lambda c: NFD.normalize_str(c) != c,
    "compatible": lambda c: NFKD.normalize_str(c) != c,
    "upper": lambda c: LOWER.normalize_str(c) != c,
}


def ranges(has):
    out = []
    for c in range(1, 0x110000):
        if 0xD800 <= c < 0xE000 or not has(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in out)


here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
with open(os.path.join(here, "properties.txt"), "w") as f:
    for name, has in properties.items():
        f.write(f"{name} {ranges(has)}\n")
