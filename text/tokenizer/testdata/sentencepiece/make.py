"""Makes small SentencePiece models and what sentencepiece makes of our texts.

    pip install sentencepiece==0.2.3
    python make.py

writes *.model and expected.json beside itself.
"""

import io
import json
import os
import random

import sentencepiece as spm

HERE = os.path.dirname(os.path.abspath(__file__))
random.seed(7)

NOUNS = "cat dog house river tree bread moon garden letter road über café naïve Straße".split()
VERBS = "sees finds likes paints reads follows makes grows crosses remembers".split()
SENTENCES = [f"The {random.choice(NOUNS)} {random.choice(VERBS)} the {random.choice(NOUNS)}, {random.randrange(2000)} times." for _ in range(1500)]
SENTENCES += [f"{random.choice(NOUNS)}{random.choice(NOUNS)} = {random.randrange(100)};  // {random.choice(VERBS)}" for _ in range(300)]

# Replacements: more than one length at one place, growing, shrinking and to nothing.
RULES = [("ﬁ", "fi"), ("ﬀ", "ff"), ("a\u0301", "á"), ("a\u0301b", "AB"), ("①", "1"), ("\u200b", ""), ("\t", " "), ("\n", " "), ("\u3000", " "), ("½", " 1/2 "), ("Ⅷ", "VIII")]

MODELS = {
    "unigram": dict(model_type="unigram", vocab_size=180),
    "unigram-bytes": dict(model_type="unigram", vocab_size=420, byte_fallback=True, user_defined_symbols=["<sep>", "the", "<sep>x", " . "]),
    "unigram-suffix": dict(model_type="unigram", vocab_size=180, treat_whitespace_as_suffix=True),
    "unigram-bare": dict(model_type="unigram", vocab_size=180, add_dummy_prefix=False, remove_extra_whitespaces=False, split_by_whitespace=False),
    "bpe": dict(model_type="bpe", vocab_size=180),
    "bpe-bytes": dict(model_type="bpe", vocab_size=420, byte_fallback=True, remove_extra_whitespaces=False, normalization_rule_name="identity", allow_whitespace_only_pieces=True),
    "bpe-symbols": dict(model_type="bpe", vocab_size=430, byte_fallback=True, remove_extra_whitespaces=False, normalization_rule_name="identity", user_defined_symbols=["<sep>", "the", "<sep>x", " . "], control_symbols=["<ctl>"]),
    "char": dict(model_type="char", vocab_size=64, user_defined_symbols=["<sep>"]),
}

TEXTS = ["", " ", "  ", "The cat sees the dog, 12 times.", "  two  spaces   and more  ", "\tﬁrst\nsecond ﬀ ①½ Ⅷ\u200b a\u0301 a\u0301b a\u0301\u0301", "überStraße naïve café",
         "猫が好き 🙂 \u3000wide", "<sep>the<sep>xthe . . the<ctl> <s></s><unk>", "▁low▁ line ▁", "unknownunknown ЖЖ Ж", "a" * 30, "= = =;  // //", "<0x41>"]
pool = "the catdoghouse ,.0123 ﬁﬀ①½Ж猫\u0301a \u200b\t<sep>▁"
TEXTS += ["".join(random.choice(pool) for _ in range(random.randrange(1, 24))) for _ in range(120)]


def train(name, options):
    with open("rules.tsv", "w", encoding="utf8") as f:
        for a, b in RULES:
            f.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
    out = io.BytesIO()
    if "normalization_rule_name" not in options:
        options = dict(options, normalization_rule_tsv="rules.tsv")
    spm.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES), model_writer=out, minloglevel=2, hard_vocab_limit=False, num_threads=1, **options)
    os.remove("rules.tsv")
    with open(os.path.join(HERE, name + ".model"), "wb") as f:
        f.write(out.getvalue())
    return spm.SentencePieceProcessor(model_proto=out.getvalue())


def main():
    want = {"sentencepiece": spm.__version__, "texts": TEXTS, "models": {}}
    for name, options in MODELS.items():
        p = train(name, options)
        m = {"vocab": p.get_piece_size(), "normalized": [p.normalize(t) for t in TEXTS], "ids": [p.encode(t) for t in TEXTS]}
        m["text"] = [p.decode(ids) for ids in m["ids"]]
        if options["model_type"] == "unigram":
            short = [t for t in TEXTS if 0 < len(t) < 24 and p.encode(t)][:20]
            m["nbest"] = {t: p.nbest_encode_as_ids(t, 6) for t in short}
        want["models"][name] = m
    with open(os.path.join(HERE, "expected.json"), "w", encoding="utf8") as f:
        json.dump(want, f, ensure_ascii=True, indent=None, separators=(",", ":"))
        f.write("\n")


main()
