"""Writes components.json: small tokenizers with every component of
tokenizer.json, and what the tokenizers library makes of texts with them.

Made with Python 3.11 and tokenizers 0.23.3:

    python text/tokenizer/testdata/components/make.py

Offsets are in bytes. Texts avoid two places where the library's offsets follow
the order of characters before normalisation.
"""

import json
import os

from tokenizers import AddedToken, Regex, Tokenizer, models
from tokenizers import decoders as D
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P
from tokenizers import processors as PP
from tokenizers import trainers as T

here = os.path.dirname(os.path.abspath(__file__))
corpus = open(os.path.join(here, "..", "train.txt")).read().splitlines() * 2
corpus += ["naïve café ÀÉ Übung ½ ① 日本語テキスト 한국어 привет мир 123 4567 don't we'll <unk> hello world"] * 9
texts = [
    "", "a", " ", "  ", " hello", "Hello, World! It's 12345 dogs.", "don't we'll naïve café", "Übung ÀÉ ﬁ ½ ①",
    "日本語テキスト カー が 한국어", "привет мир\n\tx", "a\u00a0b\u3000c\u200dd\u00ad", "🙂 a🙂", "x<x> y", "x <x>  <x>y",
    "foo foobar foo", "[MASK] a [MASK]", "<s>hello</s>", "tab\tand\r\nline", "a-b--c d  e", "hello▁world _ é",
    "İstanbul ǅ ß", "aaaa bbbb", "l", "<unk>", "x|y aa|b",
]
PLAIN = [AddedToken("<x>", lstrip=True, rstrip=True, normalized=False), AddedToken("foo", single_word=True)]
SPECIAL = [AddedToken("[MASK]", lstrip=True, special=True, normalized=False), AddedToken("<s>", special=True), AddedToken("</s>", special=True)]
ALL = sorted(P.ByteLevel.alphabet())
BYTES = [f"<0x{b:02X}>" for b in range(256)]
UNK = {"unk_token": "<unk>"}


def bpe(pre=None, norm=None, dec=None, post=None, model=UNK, special=("<unk>",), alphabet=(), added=True, size=120, **trainer):
    t = Tokenizer(models.BPE(**model))
    if norm:
        t.normalizer = norm
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator(corpus, T.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False, **trainer))
    if dec:
        t.decoder = dec
    if post:
        t.post_processor = post
    if added:
        t.add_special_tokens(SPECIAL)
        t.add_tokens(PLAIN)
    return t


def level(pre, norm=None, post=None, model={}, **more):
    return bpe(pre, norm, D.ByteLevel(), post, model, special=(), alphabet=ALL, size=300, **more)


def spm(tokens=BYTES, fuse=True, **model):
    steps = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    t = bpe(None, N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), steps, None,
            {"unk_token": "<unk>", "byte_fallback": True, "fuse_unk": fuse, **model}, ["<unk>"] + tokens, added=False, size=430)
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(d))
    t.add_special_tokens(SPECIAL[1:])
    t.add_tokens(PLAIN[:1])
    return t


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=12))
    t.normalizer, t.pre_tokenizer = N.BertNormalizer(), P.BertPreTokenizer()
    t.train_from_iterator(corpus, T.WordPieceTrainer(vocab_size=160, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.decoder, t.post_processor = D.WordPiece(), PP.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    t.add_tokens(PLAIN)
    return t


def wordlevel():
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = P.Whitespace()
    t.train_from_iterator(corpus, T.WordLevelTrainer(vocab_size=60, special_tokens=["<unk>", "<s>"], show_progress=False))
    one = PP.TemplateProcessing(single="<s> $A <unk>", special_tokens=[("<unk>", 0), ("<s>", 1)])
    t.post_processor = PP.Sequence([PP.ByteLevel(trim_offsets=False), one])
    return t


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer = N.Sequence([N.Nmt(), N.NFKC()]), P.Metaspace()
    t.train_from_iterator(corpus, T.UnigramTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    t.decoder, t.post_processor = D.Metaspace(), PP.RobertaProcessing(("</s>", 2), ("<s>", 1))
    t.add_tokens(PLAIN)
    return t


cases = {
    "bytes": level(P.ByteLevel(add_prefix_space=False), post=PP.ByteLevel(trim_offsets=True)),
    "bytes, space in front": level(P.ByteLevel(add_prefix_space=True), N.NFKC(), PP.ByteLevel(add_prefix_space=True, trim_offsets=True)),
    "bytes, no regex": level(P.ByteLevel(add_prefix_space=True, use_regex=False), N.Lowercase()),
    "bytes, unk": bpe(P.ByteLevel(add_prefix_space=False), None, D.ByteLevel()),
    "bytes, fuse_unk": bpe(P.ByteLevel(add_prefix_space=False), None, D.ByteLevel(), model={"unk_token": "<unk>", "fuse_unk": True}),
    "bytes, three splits": level(P.Sequence([P.Split(Regex(r"\p{N}{1,3}"), "isolated"), P.Split(Regex("[一-龥぀-ヿ]+"), "isolated"),
                                             P.Split(Regex(r"[!-/:-~]|[A-Za-z]+|\s+"), "merged_with_next"), P.ByteLevel(add_prefix_space=False, use_regex=False)])),
    "bytes, then digits": level(P.Sequence([P.ByteLevel(add_prefix_space=True), P.Digits(False)])),
    "bytes as normalizer": level(P.Split(Regex("Ġ"), "merged_with_next"), N.Sequence([N.NFC(), N.ByteLevel()])),
    "Llama 2": spm(),
    "Llama 2, few bytes": spm(BYTES[:0xE5], False),
    "Llama 2, few bytes, fuse_unk": spm(BYTES[:0xE5]),
    "Llama 2, ignore_merges": spm(ignore_merges=True),
    "WordPiece": wordpiece(),
    "WordLevel": wordlevel(),
    "Unigram": unigram(),
    "CTC": bpe(P.FixedLength(1), None, D.CTC("a", "|", True)),
}
for how in ["removed", "isolated", "contiguous", "merged_with_previous", "merged_with_next"]:
    cases["Split by expression, " + how] = bpe(P.Split(Regex(r"\s|-"), how), None, D.Fuse())
    cases["Split by expression, inverted, " + how] = bpe(P.Split(Regex(r"\s|-"), how, True))
    cases["Split by text, " + how] = bpe(P.Split("l", how))
    cases["Punctuation, " + how] = bpe(P.Punctuation(how))
for scheme in ["always", "first", "never"]:
    for split in [True, False]:
        name = f"Metaspace, {scheme}, split {split}"
        cases[name] = bpe(P.Metaspace("▁", scheme, split), None, D.Metaspace("▁", scheme), model={"unk_token": "<unk>", "fuse_unk": True})
        cases[name + ", stripped"] = bpe(P.Metaspace("▁", scheme, split), N.Sequence([N.Strip(), N.NFKD(), N.StripAccents()]), D.Metaspace("▁", scheme))
for name, norm in {
    "NFC": N.NFC(), "NFD": N.NFD(), "NFKC": N.NFKC(), "NFKD": N.NFKD(), "Nmt": N.Nmt(), "Lowercase": N.Lowercase(),
    "Strip left": N.Strip(True, False), "Strip right": N.Strip(False, True), "Prepend": N.Prepend("▁"),
    "Replace": N.Sequence([N.Replace(Regex("[aeiou]"), "_"), N.Replace("l", "")]), "Bert": N.BertNormalizer(), "Bert, accents": N.BertNormalizer(True, True, False, True),
}.items():
    cases[name] = bpe(P.WhitespaceSplit(), norm, D.BPEDecoder(), model={"unk_token": "<unk>", "end_of_word_suffix": "</w>"}, end_of_word_suffix="</w>")
for pre in [P.Whitespace(), P.Digits(False), P.Digits(True), P.CharDelimiterSplit("l"), P.UnicodeScripts(), P.FixedLength(3), P.BertPreTokenizer()]:
    cases[f"{pre!r}"] = bpe(pre, None, D.WordPiece("##", True), model={"unk_token": "<unk>", "continuing_subword_prefix": "##"}, continuing_subword_prefix="##")

out = []
for name, t in cases.items():
    case = {"name": name, "file": json.loads(t.to_str()), "ids": [], "user": [], "marked": [], "offsets": [], "text": []}
    for text in texts:
        at = [0]
        for c in text:
            at.append(at[-1] + len(c.encode()))
        t.encode_special_tokens = False
        case["ids"].append(t.encode(text, add_special_tokens=False).ids)
        case["marked"].append(t.encode(text).ids)
        t.encode_special_tokens = True
        e = t.encode(text, add_special_tokens=False)
        case["user"].append(e.ids)
        case["offsets"].append([[at[i], at[j]] for i, j in e.offsets])
        case["text"].append(t.decode(e.ids, skip_special_tokens=False))
    if case["user"] == case["ids"]:
        del case["user"]
    if case["marked"] == case["ids"]:
        del case["marked"]
    out.append(case)
with open(os.path.join(here, "components.json"), "w") as f:
    dump = lambda v: json.dumps(v, ensure_ascii=False, separators=(",", ":"))
    f.write('{"texts":' + dump(texts) + ',\n"cases":[\n' + ",\n".join(dump(c) for c in out) + "\n]}\n")
