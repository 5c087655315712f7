# Makes ties.json: the merges that Hugging Face's BPE trainer (tokenizers 0.23.3)
# learns from a text full of ties, in order. Run in this folder:
#   pip install tokenizers==0.23.3 && python make_ties.py
import json
import random

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

random.seed(3)
syllables = ["ba", "be", "bi", "da", "dé", "do", "猫", "ka", "ke", "(", ")", "12", "3 ", " "]
text = " ".join("".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(600))
tok = Tokenizer(models.BPE())
tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tok.train_from_iterator([text], trainers.BpeTrainer(
    vocab_size=256 + 400, min_frequency=1, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
merges = json.loads(tok.to_str())["model"]["merges"]
lines = [m if isinstance(m, str) else " ".join(m) for m in merges]
json.dump({"text": text, "merges": lines}, open("ties.json", "w"), ensure_ascii=False, indent=0)
