#!/usr/bin/env python3
"""Writes tiny tokenizers of SigLIP and SigLIP 2, and the ids that independent programs compute with them.

The unigram model is trained and run by the sentencepiece library; its tokenizer.json is converted by the tokenizers
library. The byte-pair encoding is that of Gemma in small; its ids are computed by the plain function below. Captions are
cleaned as transformers does (SiglipTokenizer, Siglip2Tokenizer). Ran with sentencepiece 0.2.2, tokenizers 0.23.2 and
protobuf:

    python3 test-data/pretrained/tokens.py test-data/pretrained/tokenizers
"""
import json
import re
import string
import sys
from pathlib import Path

import sentencepiece
import sentencepiece.sentencepiece_model_pb2
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.implementations import SentencePieceUnigramTokenizer

sys.modules["sentencepiece_model_pb2"] = sentencepiece.sentencepiece_model_pb2  # where tokenizers looks for it
CONTEXT = 64
ADJECTIVES = "red green blue small large round striped shiny old wooden happy sleeping".split()
NOUNS = "cat dog bicycle umbrella mountain bottle teapot sailing boat lighthouse sunflower train".split()
PLACES = "on a table,in the rain,near the river,under a bridge,at night,in a garden,on the beach".split(",")
TEXTS = [
    "A photo of a RED bicycle.",
    "  two   dogs -- under\tan umbrella!  ",
    "it's a_file_name: (blue) & \"striped\" #1",
    "caf\u00e9 na\u00efve \u00dcber \u0130stanbul \u03a3\u03a3",
    "\u732b on a table \U0001f600",
    "",
    "...",
    "\u2581 already marked \u2581text",
    "don't stop; co-operate 50% off @home $5 ~ ^ ` | \\ {x} [y] <z>",
    "a lighthouse near the river at night " * 12,
    "</s> <eos> <pad> ends",
    "no\u00a0break\u3000space",
]


def corpus():
    return [f"a {a} {n} {p}" for a in ADJECTIVES for n in NOUNS for p in PLACES]


def siglip_clean(text):
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\s+", " ", text).strip()


def padded(ids, end, padding):
    ids = ids[: CONTEXT - 1] + [end]
    return ids + [padding] * (CONTEXT - len(ids))


def unigram(out):
    prefix = out / "spiece" / "spiece"
    prefix.parent.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=str(prefix), vocab_size=180, model_type="unigram",
        normalization_rule_name="identity", pad_id=-1, unk_id=2, bos_id=-1, eos_id=1, hard_vocab_limit=False,
        user_defined_symbols=["<extra>"], minloglevel=2)
    (out / "spiece" / "spiece.vocab").unlink()
    own = sentencepiece.SentencePieceProcessor(model_file=str(prefix) + ".model")
    folder = out / "siglip"
    folder.mkdir(parents=True, exist_ok=True)
    fast = SentencePieceUnigramTokenizer.from_spm(str(prefix) + ".model")
    fast.save(str(folder / "tokenizer.json"), pretty=False)
    config = dict(do_lower_case=True, eos_token="</s>", pad_token="</s>", unk_token="<unk>")
    for place in (folder, out / "spiece"):
        (place / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    return [padded(own.encode(siglip_clean(t).replace("\u2581", " ").strip()), 1, 1) for t in TEXTS]


def merged(parts, ranks):
    """Byte-pair encoding of a list of characters: the pair of the lowest rank is merged first, leftmost first."""
    while True:
        pairs = [(ranks.get((a, b), len(ranks)), k) for k, (a, b) in enumerate(zip(parts, parts[1:]))]
        if not pairs or min(pairs)[0] == len(ranks):
            return parts
        k = min(pairs)[1]
        parts = parts[:k] + [parts[k] + parts[k + 1]] + parts[k + 2 :]


def gemma(out):
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    trained.normalizer = normalizers.Replace(" ", "\u2581")
    trained.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trained.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=520, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)], show_progress=False)
    trained.train_from_iterator(corpus(), trainer)
    data = json.loads(trained.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] in special]
    folder = out / "siglip2"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    config = dict(add_bos_token=False, add_eos_token=True, eos_token="<eos>", pad_token=dict(content="<pad>"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    vocabulary = data["model"]["vocab"]
    ranks = {tuple(m if isinstance(m, list) else m.split(" ")): k for k, m in enumerate(data["model"]["merges"])}
    tokens = []
    for text in TEXTS:
        ids = []
        for piece in re.split("(" + "|".join(map(re.escape, special)) + ")", "".join(c.lower() for c in text)):
            if piece in special:
                ids.append(vocabulary[piece])
                continue
            characters = []
            for c in piece.replace(" ", "\u2581"):
                characters += [c] if c in vocabulary else [f"<0x{b:02X}>" for b in c.encode()]
            ids += [vocabulary[p] for p in merged(characters, ranks)]
        tokens.append(padded(ids, 1, 0))
    return tokens


def main():
    out = Path(sys.argv[1])
    lines = [dict(text=t, siglip=a, siglip2=b) for t, a, b in zip(TEXTS, unigram(out), gemma(out))]
    (out / "tokens.json").write_text("[\n" + ",\n".join(json.dumps(line) for line in lines) + "\n]\n")


main()
