"""Makes expected.json: what the reference implementations say of our test texts.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3 tiktoken==0.14.0 sentencepiece==0.2.3 regex
    /tmp/venv/bin/python make.py ../../../shared/data [tokenizer ...]

Results for texts that have not changed are kept, but for tokenizers that are named. See README.md for the rules
that this file and parity_test.go share.
"""
import base64, glob, gzip, hashlib, html, json, os, re, struct, subprocess, sys, tarfile, time

import regex, sentencepiece, tiktoken, tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from splitmix import SplitMix

data = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))


# --- texts ---------------------------------------------------------------------

def udhr():
    """One text per language: what stands in <para>, without tags, joined by newline."""
    with tarfile.open(data + "/text/udhr_xml.tar.gz") as tar:
        for m in sorted(tar.getmembers(), key=lambda m: m.name):
            name = re.search(r"/udhr_(\w+)\.xml$", m.name)
            if name:
                xml = tar.extractfile(m).read().decode()
                paras = re.findall(r"(?s)<para>(.*?)</para>", xml)
                yield "udhr/" + name[1], [html.unescape(re.sub(r"(?s)<.*?>", "", "\n".join(paras)))]


def ud():
    for path in sorted(glob.glob(data + "/text/ud/*.gz")):
        lines = gzip.open(path, "rt", encoding="utf-8", newline="\n").read().split("\n")
        yield "ud/" + os.path.basename(path).split("-")[0] + "-" + path.split("-")[-1].split(".")[0], \
            [l[len("# text = "):] for l in lines if l.startswith("# text = ")]


def wikitext():
    for part in ("valid", "test"):
        yield "wikitext2/" + part, [open(data + f"/text/wikitext2_{part}.txt", encoding="utf-8", newline="").read()]


BUDGET = {"go": 1 << 20, "s": 192 << 10, "c": 192 << 10, "h": 64 << 10, "js": 96 << 10, "sh": 96 << 10, "pl": 96 << 10,
          "html": 96 << 10, "css": 64 << 10, "json": 96 << 10, "yaml": 96 << 10, "md": 96 << 10, "py": 64 << 10}


def code():
    """Go's own tree: by extension, the files in order of path until the budget is spent."""
    root = subprocess.check_output(["go", "env", "GOROOT"], text=True).strip() + "/src"
    paths = sorted(os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs)
    for ext, budget in BUDGET.items():
        texts = []
        for p in paths:
            if not p.endswith("." + ext):
                continue
            raw = open(os.path.join(root, p), "rb").read()
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                continue
            if not 0 < len(raw) <= min(budget, 48 << 10):
                continue
            budget -= len(raw)
            texts.append(text)
        yield "code/" + ext, texts


CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()


def pool():
    """Ranges of code points that have the same category in Unicode 16, which tokenizers' Oniguruma knows, and 17, which
    regex does. Unassigned ones are with them up to U+1FFFF, where their block of 256 has others; few for private use are."""
    every = "".join(chr(r) for r in range(0x110000) if not 0xD800 <= r <= 0xDFFF)
    same = set()
    for c in CATEGORIES:
        cut = pre_tokenizers.Split(tokenizers.Regex(r"\p{%s}" % c), "removed")
        later = set(regex.findall(r"\p{%s}" % c, every))
        for k in range(0, len(every), 4096):
            for rest, _ in cut.pre_tokenize_str(every[k:k + 4096]):
                later.difference_update(rest)
        same.update(map(ord, later))
    none = {ord(m) for m in regex.findall(r"\p{Cn}", every)}
    blocks = {r >> 8 for r in same}
    out = []
    for r in sorted(same | {r for r in none if r < 0x20000 and r >> 8 in blocks}):
        if 0xE100 <= r <= 0xF8FF or r >= 0xF0000:
            continue
        if out and out[-1][1] == r - 1 and r % 256:
            out[-1][1] = r
        else:
            out.append([r, r])
    return out


FRAGMENTS = ["'s", "'T", "'re", "'VE", "'m", "'lL", "'d", "'\u017f", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "12", "3456",
             "<s>", "▁", " the", "ing", "A", "I\u0307", "e\u0301", "fi", "\u200d", "\ufe0f", "\u3000", "\u00a0", "...", "://", "#!"]


def random(ranges):
    r = SplitMix(20240607)
    for part in range(10):
        texts = []
        for _ in range(10000):
            lo, hi = ranges[r.below(len(ranges))]
            text = ""
            for _ in range(1 + r.below(24)):
                k = r.below(8)
                if k < 2:
                    text += chr(0x20 + r.below(0x5F))
                elif k == 2:
                    text += FRAGMENTS[r.below(len(FRAGMENTS))]
                elif k < 7:
                    text += chr(lo + r.below(hi - lo + 1))
                else:
                    a, b = ranges[r.below(len(ranges))]
                    text += chr(a + r.below(b - a + 1))
            texts.append(text)
        yield f"random/{part}", texts


def special(names):
    out = []
    for s in names:
        out += [s, f"a{s}b", f" {s} x", s + s, f"{s}\n\n {s}", s[:-1], s.lower(), s[1:] + "é" + s]
    return out


# --- tokenizers ------------------------------------------------------------------

class Tiktoken:
    def __init__(self, path, pattern, specials):
        lines = open(data + path, "rb").read().split(b"\n")
        ranks = {base64.b64decode(l.split()[0]): int(l.split()[1]) for l in lines if l}
        self.enc = tiktoken.Encoding(path, pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)
        self.names = list(specials)[:8]

    def encode(self, texts):
        return [self.enc.encode_ordinary(t) for t in texts]

    def encode_special(self, texts):
        return [self.enc.encode(t, allowed_special="all") for t in texts]

    def decode(self, ids):
        return self.enc.decode_bytes(ids)


class SentencePiece:
    names = []

    def __init__(self, path):
        self.sp = sentencepiece.SentencePieceProcessor(model_file=data + path)

    def encode(self, texts):
        return self.sp.encode(texts, num_threads=1)

    def decode(self, ids):
        return self.sp.decode(ids).encode()


class HF:
    def __init__(self, tok):
        tok.no_truncation()
        tok.no_padding()
        self.tok = tok
        added = tok.get_added_tokens_decoder()
        self.names = [added[i].content for i in sorted(added)][:8]

    def encode(self, texts):
        self.tok.encode_special_tokens = True
        return [e.ids for e in self.tok.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_special(self, texts):
        self.tok.encode_special_tokens = False
        return [e.ids for e in self.tok.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids):
        return self.tok.decode(ids, skip_special_tokens=False).encode()


def hf_file(path):
    return HF(tokenizers.Tokenizer.from_file(data + path))


def gpt2():
    d = data + "/tokenizers/gpt2/"
    tok = tokenizers.Tokenizer(models.BPE.from_file(d + "encoder.json", d + "vocab.bpe"))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    return HF(tok)


def bert():
    vocab = [l.rstrip("\n") for l in open(data + "/tokenizers/bert/bert-base-uncased-vocab.txt", encoding="utf-8", newline="\n")]
    tok = tokenizers.Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocab)}, unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return HF(tok)


R50K = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
CL100K = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
FOLD, ENDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = FOLD + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + ENDS
QWEN = FOLD + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + ENDS
HEAD, TAIL = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


def cased(han, slash):
    return "|".join([rf"[^\r\n\p{{L}}\p{{N}}]?[{HEAD}{han}]*[{TAIL}{han}]+{FOLD}?", rf"[^\r\n\p{{L}}\p{{N}}]?[{HEAD}{han}]+[{TAIL}{han}]*{FOLD}?",
                     r"\p{N}{1,3}", rf" ?[^\s\p{{L}}\p{{N}}]+[\r\n{slash}]*", ENDS])


O200K = cased("", "/")
KIMI = r"[\p{Han}]+|" + cased(r"&&[^\p{Han}]", "")
FIM = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}
TIKTOKEN = {  # name: file, pattern, special tokens
    "r50k_base": ("/tokenizers/tiktoken/r50k_base.tiktoken", R50K, {"<|endoftext|>": 50256}),
    "p50k_base": ("/tokenizers/tiktoken/p50k_base.tiktoken", R50K, {"<|endoftext|>": 50256}),
    "cl100k_base": ("/tokenizers/tiktoken/cl100k_base.tiktoken", CL100K, {"<|endoftext|>": 100257, **FIM, "<|endofprompt|>": 100276}),
    "o200k_base": ("/tokenizers/tiktoken/o200k_base.tiktoken", O200K, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
    "llama3": ("/tokenizers/llama3/tokenizer.model", LLAMA3, {"<|begin_of_text|>": 128000, "<|end_of_text|>": 128001,
               "<|start_header_id|>": 128006, "<|end_header_id|>": 128007, "<|eot_id|>": 128009}),
    "qwen1": ("/tokenizers/qwen1/qwen.tiktoken", QWEN, {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}),
    "kimi-k2": ("/tokenizers/hf-json/kimi-k2-instruct/tiktoken.model", KIMI, {"[BOS]": 163584, "[EOS]": 163585, "<|im_end|>": 163586,
                "<|im_user|>": 163587, "[EOT]": 163593, "[PAD]": 163839}),
}
OTHERS = {
    "gpt2": gpt2,
    "bert-vocab": bert,
    "llama2": lambda: SentencePiece("/tokenizers/llama2/tokenizer.model"),
    "mistral-v1": lambda: SentencePiece("/tokenizers/mistral/tokenizer.model.v1"),
    "mistral-v3": lambda: SentencePiece("/tokenizers/mistral/mistral_instruct_tokenizer_240323.model.v3"),
    "sentencepiece-en": lambda: SentencePiece("/tokenizers/sentencepiece/test_model.model"),
    "sentencepiece-ja": lambda: SentencePiece("/tokenizers/sentencepiece/test_ja_model.model"),
    "smollm": lambda: hf_file("/tokenizers/smollm/tokenizer.json"),
    "all-minilm-l6-v2": lambda: hf_file("/tokenizers/hf-json/all-minilm-l6-v2.json"),
    "bert-base-uncased": lambda: hf_file("/tokenizers/hf-json/bert-base-uncased.json"),
    "cohere": lambda: hf_file("/tokenizers/hf-json/cohere-tokenizer.json"),
}


# --- results -----------------------------------------------------------------------

def text_hash(texts):
    """SHA-256 over length and bytes of each text."""
    h = hashlib.sha256()
    for t in texts:
        raw = t if isinstance(t, bytes) else t.encode()
        h.update(struct.pack("<I", len(raw)) + raw)
    return h.hexdigest()


def result(tok, texts, encode):
    """[count of ids, hash of ids, texts that come back, hash of what comes back otherwise]."""
    ids = encode(texts)
    h = hashlib.sha256()
    for one in ids:
        h.update(struct.pack(f"<{len(one) + 1}I", len(one), *one))
    back = [tok.decode(one) for one in ids]
    same = sum(b == t.encode() for b, t in zip(back, texts))
    out = [sum(map(len, ids)), h.hexdigest()[:12], same]
    return out if same == len(texts) else out + [text_hash(back)[:12]]


def main():
    path = here + "/expected.json"
    ranges = pool()
    sets = {}
    for make in (udhr, ud, wikitext, code, lambda: random(ranges)):
        sets |= dict(make())
    texts = {name: [len(t), text_hash(t)[:16]] for name, t in sets.items()}
    old = json.load(open(path)) if os.path.exists(path) else {"texts": {}, "tokenizers": {}}
    out = {"versions": {"tokenizers": tokenizers.__version__, "tiktoken": tiktoken.__version__, "sentencepiece": sentencepiece.__version__,
                        "python": sys.version.split()[0], "go": subprocess.check_output(["go", "version"], text=True).split()[2]},
           "pool": ranges, "texts": texts, "tokenizers": {}}
    for name in list(TIKTOKEN) + list(OTHERS):
        start = time.time()
        known = old["tokenizers"].get(name, {"sets": {}})
        if name in sys.argv[2:]:
            known = {"sets": {}}
        tok = Tiktoken(*TIKTOKEN[name]) if name in TIKTOKEN else OTHERS[name]()
        entry = {"sets": {}}
        for s, t in sets.items():
            done = known["sets"].get(s) if old["texts"].get(s) == texts[s] else None
            entry["sets"][s] = done or result(tok, t, tok.encode)
        if tok.names:
            spelled = special(tok.names)
            entry["names"] = tok.names
            entry["sets"]["special"] = result(tok, spelled, tok.encode_special)
            entry["sets"]["ordinary"] = result(tok, spelled, tok.encode)
        if name in TIKTOKEN:
            entry["pattern"], entry["specials"] = TIKTOKEN[name][1:]
        out["tokenizers"][name] = entry
        print(name, f"{time.time() - start:.1f} s", flush=True)
    text = json.dumps(out, ensure_ascii=True, separators=(",", ":"))
    text = re.sub(r',("(?:[a-z0-9]+/\w+|[a-z]\w+|[\w-]+)":[\[{])', r",\n\1", text)
    open(path, "w").write(text + "\n")


main()
