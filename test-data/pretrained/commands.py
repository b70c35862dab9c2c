#!/usr/bin/env python3
"""Writes test-data/pretrained/commands: a tiny CLIP model in Hugging Face layout with its tokenizer, pairs, and the
unit representations of the pairs.

The model, its tokenizer and its preprocessing are written out here with plain PyTorch functions, independently of
goldens.py and of any package of models, and computed in f64 from f32 weights. Run with Debian 12's own packages
(python3-torch 1.13.0a0, python3-numpy 1.24.2, python3-pil 9.4.0):

    /usr/bin/python3 test-data/pretrained/commands.py test-data/pretrained/commands
"""
import json
import math
import struct
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

torch.set_num_threads(1)
OUT = Path(sys.argv[1])
SIDE, PATCH, WIDTH, HEADS, LAYERS, HIDDEN = 20, 5, 24, 3, 3, 52
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS, TEXT_HIDDEN = 20, 5, 2, 36
PROJECTION, CONTEXT, PADDING = 18, 13, 1
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}
MERGES = [("r", "e"), ("re", "d</w>"), ("b", "l"), ("u", "e</w>"), ("bl", "ue</w>"), ("g", "re"), ("e", "n</w>"),
          ("gre", "en</w>")]


def byte_names():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return dict(zip(printable + others, map(chr, printable + [256 + k for k in range(len(others))])))


BYTES = byte_names()
TOKENS = [*BYTES.values(), *(c + "</w>" for c in BYTES.values()), *(a + b for a, b in MERGES), "<|startoftext|>",
          "<|endoftext|>"]
VOCABULARY = {token: k for k, token in enumerate(TOKENS)}
START, END = len(TOKENS) - 2, len(TOKENS) - 1


def pieces(word):
    parts = [BYTES[b] for b in word.encode()]
    parts[-1] += "</w>"
    for a, b in MERGES:  # by rank: each merge everywhere in the word before the next one
        k = 0
        while k + 1 < len(parts):
            if (parts[k], parts[k + 1]) == (a, b):
                parts[k:k + 2] = [a + b]
            k += 1
    return [VOCABULARY[part] for part in parts]


def encode(caption):
    words = [piece for word in caption.split() for piece in (word if word.isdigit() else [word])]
    ids = [START, *(k for word in words for k in pieces(word))][:CONTEXT - 1] + [END]
    return ids + [PADDING] * (CONTEXT - len(ids))


def save(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(tensors):
        array = tensors[name].numpy()
        raw = array.tobytes()
        kind = {"float32": "F32", "float64": "F64", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def weights():
    generator = torch.Generator().manual_seed(7)
    w = {}

    def normal(name, *shape, scale=None):
        w[name] = torch.randn(*shape, generator=generator) * (scale or 1 / math.sqrt(shape[-1]))

    def norm(name, width):
        normal(name + ".weight", width, scale=0.2)
        w[name + ".weight"] += 1
        normal(name + ".bias", width, scale=0.1)

    def linear(name, rows, columns):
        normal(name + ".weight", rows, columns)
        normal(name + ".bias", rows, scale=0.1)

    for tower, layers, width, hidden in (("vision_model", LAYERS, WIDTH, HIDDEN),
                                         ("text_model", TEXT_LAYERS, TEXT_WIDTH, TEXT_HIDDEN)):
        for k in range(layers):
            block = f"{tower}.encoder.layers.{k}."
            for part in "q_proj", "k_proj", "v_proj", "out_proj":
                linear(block + "self_attn." + part, width, width)
            norm(block + "layer_norm1", width)
            norm(block + "layer_norm2", width)
            linear(block + "mlp.fc1", hidden, width)
            linear(block + "mlp.fc2", width, hidden)
    positions = (SIDE // PATCH) ** 2 + 1
    vision, text = "vision_model.embeddings.", "text_model.embeddings."
    normal(vision + "class_embedding", WIDTH)
    normal(vision + "patch_embedding.weight", WIDTH, 3, PATCH, PATCH, scale=0.1)
    normal(vision + "position_embedding.weight", positions, WIDTH)
    norm("vision_model.pre_layrnorm", WIDTH)
    norm("vision_model.post_layernorm", WIDTH)
    normal(text + "token_embedding.weight", len(TOKENS), TEXT_WIDTH, scale=1)
    normal(text + "position_embedding.weight", CONTEXT, TEXT_WIDTH, scale=0.5)
    norm("text_model.final_layer_norm", TEXT_WIDTH)
    normal("visual_projection.weight", PROJECTION, WIDTH)
    normal("text_projection.weight", PROJECTION, TEXT_WIDTH)
    w["logit_scale"] = torch.tensor(3.1)
    w[vision + "position_ids"] = torch.arange(positions)[None]  # older files have these two
    w[text + "position_ids"] = torch.arange(CONTEXT)[None]
    return w


def encoder(w, tower, layers, heads, x, causal):
    for k in range(layers):
        block = f"{tower}.encoder.layers.{k}."
        y = norm(w, block + "layer_norm1", x)
        n, tokens, width = y.shape
        q, k_, v = (linear(w, block + f"self_attn.{part}_proj", y).view(n, tokens, heads, -1).transpose(1, 2)
                    for part in "qkv")
        scores = q @ k_.transpose(-1, -2) / math.sqrt(width // heads)
        if causal:
            scores = scores + torch.full((tokens, tokens), -1e30, dtype=scores.dtype).triu(1)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, width)
        x = x + linear(w, block + "self_attn.out_proj", mixed)
        y = linear(w, block + "mlp.fc1", norm(w, block + "layer_norm2", x))
        x = x + linear(w, block + "mlp.fc2", y * torch.sigmoid(1.702 * y))
    return x


def norm(w, name, x):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], 1e-5)


def linear(w, name, x):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def main():
    model, pairs = OUT / "clip", OUT / "pairs"
    model.mkdir(parents=True, exist_ok=True)
    pairs.mkdir(exist_ok=True)
    (model / "vocab.json").write_text(json.dumps(VOCABULARY))
    (model / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES))
    (model / "config.json").write_text(json.dumps({
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": PROJECTION,
        "text_config": {
            "hidden_size": TEXT_WIDTH, "num_attention_heads": TEXT_HEADS, "num_hidden_layers": TEXT_LAYERS,
            "intermediate_size": TEXT_HIDDEN, "vocab_size": len(TOKENS), "max_position_embeddings": CONTEXT,
            "bos_token_id": START, "eos_token_id": END, "pad_token_id": PADDING, "hidden_act": "quick_gelu"},
        "vision_config": {
            "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
            "intermediate_size": HIDDEN, "image_size": SIDE, "patch_size": PATCH, "hidden_act": "quick_gelu"}},
        indent=2))
    (model / "preprocessor_config.json").write_text(json.dumps({
        "crop_size": SIDE, "do_center_crop": True, "do_normalize": True, "do_resize": True, "image_mean": MEAN,
        "image_std": DEVIATION, "resample": 3, "size": SIDE}, indent=2))
    w = weights()
    save(model / "model.safetensors", w)

    random = numpy.random.RandomState(3)
    captions, pictures = [], []
    for k in range(18):
        colour = list(COLOURS)[k % 3]
        noise = random.randint(-25, 25, (SIDE, SIDE, 3))
        pictures.append(numpy.clip(numpy.array(COLOURS[colour]) + noise, 0, 255).astype(numpy.uint8))
        Image.fromarray(pictures[-1]).save(pairs / f"p{k:02d}.png")
        captions.append(f"a {colour} square {k}")
    rows = "".join(f"p{k:02d}.png\t{caption}\n" for k, caption in enumerate(captions))
    (pairs / "captions.tsv").write_text("image\tcaption\n" + rows)

    w = {name: tensor.double() for name, tensor in w.items()}
    x = (numpy.stack(pictures).astype(numpy.float64) / 255 - MEAN) / DEVIATION
    x = F.conv2d(torch.tensor(x).permute(0, 3, 1, 2), w["vision_model.embeddings.patch_embedding.weight"], stride=PATCH)
    first = w["vision_model.embeddings.class_embedding"].expand(len(pictures), 1, WIDTH)
    x = torch.cat([first, x.flatten(2).transpose(1, 2)], 1) + w["vision_model.embeddings.position_embedding.weight"]
    x = encoder(w, "vision_model", LAYERS, HEADS, norm(w, "vision_model.pre_layrnorm", x), False)
    image = norm(w, "vision_model.post_layernorm", x[:, 0]) @ w["visual_projection.weight"].T

    ids = torch.tensor([encode(caption) for caption in captions])
    x = w["text_model.embeddings.token_embedding.weight"][ids] + w["text_model.embeddings.position_embedding.weight"]
    x = norm(w, "text_model.final_layer_norm", encoder(w, "text_model", TEXT_LAYERS, TEXT_HEADS, x, True))
    ends = (ids == END).int().argmax(1)
    text = x[torch.arange(len(captions)), ends] @ w["text_projection.weight"].T
    save(OUT / "expected.safetensors", {"pictures": unit(image), "captions": unit(text)})


main()
