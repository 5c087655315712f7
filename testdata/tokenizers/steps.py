"""Makes steps.json: what the tokenizers library makes of each step around a model.

    /tmp/venv/bin/python steps.py

See README.md; the texts are made from the pool in expected.json.
"""
import hashlib, json, os, struct

import tokenizers

from splitmix import SplitMix

here = os.path.dirname(os.path.abspath(__file__))


EDGES = ["", " ", "  ", "a", " a", "a ", " a  b ", "\n", "a\tb\r\nc", "Hello, World! It's 12,345.67 -- don't", "HELLO world_foo", "a--b---c", "-a-", "--",
         "▁a▁▁b ", "日本語 テスト 한국어", "e\u0301é İI\u0307ıß ﬁ Å \u212b", "\u1100\u1161\u11a8", "x\u0000y\ufffdz\u200b\ufeff", "1a2b 34 ½ ²", "ａｂｃ１２ ｶﾞ"]


def texts(pool):
    r = SplitMix(7)
    out = list(EDGES)
    for lo, hi in pool:  # every character, but few of the large blocks
        step = 1 if hi < 0x3000 or hi >= 0x10000 and lo < 0x1F800 else 16
        out += ["a" + chr(c) + "\u0345B" for c in range(lo, hi + 1, step)]
    for _ in range(4000):
        lo, hi = pool[r.below(len(pool))]
        text = ""
        for _ in range(1 + r.below(12)):
            k = r.below(4)
            if k == 0:
                text += chr(0x20 + r.below(0x5F))
            elif k == 1:
                a, b = pool[r.below(len(pool))]
                text += chr(a + r.below(b - a + 1))
            else:
                text += chr(lo + r.below(hi - lo + 1))
        out.append(text)
    return out


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


BEHAVIORS = ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]
SPACES, DASH = {"Regex": r"\s+"}, {"String": "-"}
CL100K = {"Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}
DEEPSEEK = [split({"Regex": r}, "Isolated") for r in (r"[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-Ρ]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
            r"\s+$", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}+")]


def bert(**k):
    return {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True} | k


def level(**k):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True} | k


def metaspace(scheme, cut):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


NORMALIZERS = [{"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")] + [
    {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Strip", "strip_left": False, "strip_right": True},
    replace({"String": " "}, "▁"), replace(SPACES, " "), replace({"Regex": r"[^\p{L}]"}, ""), replace({"Regex": r"^|b"}, "<>"), {"type": "Prepend", "prepend": "▁"},
    bert(), bert(clean_text=False), bert(handle_chinese_chars=False), bert(strip_accents=True, lowercase=False), bert(strip_accents=False), bert(lowercase=False),
    {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
    {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace({"String": " "}, "▁")]}, {"type": "Sequence", "normalizers": []}]
PRE = [{"type": t} for t in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")] + [
    level(), level(add_prefix_space=True), level(use_regex=False), level(use_regex=False, add_prefix_space=True),
    *[metaspace(s, c) for s in ("always", "first", "never") for c in (True, False)],
    {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False}, {"type": "CharDelimiterSplit", "delimiter": "-"}, {"type": "FixedLength", "length": 3},
    *[{"type": "Punctuation", "behavior": b} for b in BEHAVIORS],
    *[split(p, b, i) for p in (SPACES, DASH, CL100K) for b in BEHAVIORS for i in (False, True)],
    *[split({"Regex": r}, "Isolated") for r in (r"\w+|[^\w\s]+", r"(?=\p{Lu})", r"\b", r"[[:punct:]]", r"[[:alpha:]]+", r"\p{Alpha}+", r"\d{1,2}+", r"^.|.$", r"(?i)[a-zé]+",
                                                r"[\p{Han}\p{Hiragana}&&[^一-丿]]+", r"\h+", r"\p{M}+", r"\R", r"[^\p{Ll}[:space:]]+", r"\p{^L}{2}", r"(.)\1", r"(?<=a)\P{L}(?!B)")],
    {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level()]},
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}, metaspace("first", True)]},
    {"type": "Sequence", "pretokenizers": [*DEEPSEEK, level(use_regex=False)]}, {"type": "Sequence", "pretokenizers": []}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
DECODERS = [level(), {"type": "ByteFallback"}, {"type": "Fuse"}, STRIP, {"type": "Strip", "content": "a", "start": 2, "stop": 0}, replace({"String": "▁"}, " "), replace(SPACES, "_"),
            {"type": "BPEDecoder", "suffix": "</w>"}, {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
            {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False}, *[metaspace(s, True) for s in ("always", "first", "never")],
            {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "WordPiece", "prefix": "##", "cleanup": False},
            {"type": "Sequence", "decoders": [replace({"String": "▁"}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}, STRIP]}]
# Bytes come in whole characters: of others the library makes one U+FFFD each, also of those that are sound.
TOKENS = ["a", "##b", "##", " ", "▁", "▁the", "t</w>", "</w>", "Ġx", "Ã©", "Ã", "é", "<0xE2> <0x96> <0x81>", "<0x41>", "<0xC3> <0xA9>", "<pad>", "|", ".", ",", "n't", "'s", "'m", "do",
          "not", "?", "!", "aa", " a", "  b", "日", "<s>", "'re", "'ve", "'"]


def token_lists():
    r = SplitMix(11)
    lists = [[]] + [[t] for t in TOKENS] + [[TOKENS[r.below(len(TOKENS))] for _ in range(1 + r.below(10))] for _ in range(4000)]
    return [[t for word in l for t in (word.split(" ") if "<0x" in word else [word])] for l in lists]


def main():
    pool = json.load(open(here + "/expected.json"))["pool"]
    all_texts, lists = texts(pool), token_lists()
    out = {"version": tokenizers.__version__, "texts": len(all_texts), "tokens": TOKENS, "steps": []}
    for section, steps in (("normalizer", NORMALIZERS), ("pre_tokenizer", PRE), ("decoder", DECODERS)):
        for step in steps:
            file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
                    "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}} | {section: step}
            part = getattr(tokenizers.Tokenizer.from_str(json.dumps(file)), section)
            h = hashlib.sha256()

            def add(s):
                raw = s.encode()
                h.update(struct.pack("<I", len(raw)) + raw)

            if section == "decoder":
                for l in lists:
                    add(part.decode(list(l)))
            for t in all_texts if section != "decoder" else []:
                if section == "normalizer":
                    add(part.normalize_str(t))
                else:
                    pieces = [p for p, _ in part.pre_tokenize_str(t) if p]
                    h.update(struct.pack("<I", len(pieces)))
                    for p in pieces:
                        add(p)
            out["steps"].append([section, step, h.hexdigest()[:16]])
    text = json.dumps(out, ensure_ascii=True, separators=(",", ":")).replace('],["', '],\n["')
    open(here + "/steps.json", "w").write(text + "\n")
    print(len(all_texts), "texts", len(out["steps"]), "steps")


main()
