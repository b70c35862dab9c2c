#!/usr/bin/env python3
"""Checks with transformers and PEFT that they read what contrastive4j saved, and compute the same.

    target/c4j train --from M --data PAIRS --held-out-group none --unseen-share 0 --batch 9 --steps 3 \\
        --lora-rank 3 --lora-targets q,v,up,down,out --out RUN
    target/c4j embed --from M --adapter RUN/adapter --data PAIRS --out EMBEDDED
    python3 test-data/pretrained/check_adapter.py M RUN/adapter PAIRS EMBEDDED

with M test-data/pretrained/commands/clip and PAIRS test-data/pretrained/commands/pairs. Ran with torch 2.13.0,
transformers 5.18.0, peft 0.21.0 and pillow: representations differ by at most 3.2e-7, and the adapter that PEFT writes
again has equal tensors under equal names.
"""
import sys
import tempfile

import numpy
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

TOLERANCE = 1e-6


def main():
    folder, adapter, pairs, embedded = sys.argv[1:]
    rows = [line.rstrip("\n").split("\t") for line in open(f"{embedded}/keys.tsv", encoding="utf-8")][1:]
    pictures = [Image.open(f"{pairs}/{row[1]}").convert("RGB") for row in rows]
    model = CLIPModel.from_pretrained(folder)
    context = model.config.text_config.max_position_embeddings
    pixels = CLIPImageProcessor.from_pretrained(folder)(images=pictures, return_tensors="pt")["pixel_values"]
    tokens = CLIPTokenizer.from_pretrained(folder)(
        [row[2] for row in rows], padding=True, truncation=True, max_length=context, return_tensors="pt")
    adapted = PeftModel.from_pretrained(model, adapter).eval()
    clip = adapted.base_model.model
    with torch.no_grad():
        computed = dict(pictures=clip.get_image_features(pixel_values=pixels), captions=clip.get_text_features(**tokens))
    for name, features in computed.items():
        features = getattr(features, "pooler_output", features)
        unit = torch.nn.functional.normalize(features, dim=1).numpy()
        difference = abs(unit - numpy.load(f"{embedded}/{name}.npy")).max()
        print(f"{name}: largest difference {difference:.1e}")
        assert difference < TOLERANCE
    with tempfile.TemporaryDirectory() as again:
        adapted.save_pretrained(again)
        own, theirs = (load_file(f"{place}/adapter_model.safetensors") for place in (adapter, again))
    assert own.keys() == theirs.keys() and all(torch.equal(own[name], theirs[name]) for name in own)
    print(f"{len(own)} tensors of the adapter are equal after PEFT has read and written them")


main()
