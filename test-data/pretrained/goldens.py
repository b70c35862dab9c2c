#!/usr/bin/env python3
"""Writes the known answers of test-data/pretrained: tiny CLIP and SigLIP models in both layouts.

The models are written out here in plain PyTorch functions, apart from any package of models, and computed in f64 from
weights that are f32, f16 or bf16. Run with Debian 12's own packages (python3-torch 1.13.0a0, python3-numpy 1.24.2,
python3-pil 9.4.0):

    /usr/bin/python3 test-data/pretrained/goldens.py test-data/pretrained
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
F64 = torch.float64
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64"}


def save(path, tensors, metadata=None):
    """The safetensors format as the package of that name writes it: sorted by type, widest first, then by name."""
    order = {"I64": 0, "F64": 0, "F32": 1, "F16": 2, "BF16": 2}
    items = sorted(tensors.items(), key=lambda item: (order[NAMES[item[1].dtype]], item[0]))
    header, data, at = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, tensor in items:
        tensor = tensor.detach().contiguous()
        raw = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for raw in data:
            out.write(raw)


class Sizes:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def weights(s, generator, dtype):
    """Parameters by the names of open_clip (CLIP) and of open_clip over timm (SigLIP)."""
    w = {}

    def normal(name, *shape, scale=None):
        scale = scale or 1 / math.sqrt(shape[-1])
        w[name] = (torch.randn(*shape, generator=generator, dtype=F64) * scale).to(dtype)

    def norm(name, width):
        w[name + ".weight"] = (1 + 0.1 * torch.randn(width, generator=generator, dtype=F64)).to(dtype)
        w[name + ".bias"] = (0.1 * torch.randn(width, generator=generator, dtype=F64)).to(dtype)

    def linear(name, out, inp, bias=True):
        normal(name + ".weight", out, inp)
        if bias:
            normal(name + ".bias", out, scale=0.1)

    def blocks(prefix, width, layers, hidden):
        for k in range(layers):
            p = f"{prefix}transformer.resblocks.{k}."
            norm(p + "ln_1", width)
            normal(p + "attn.in_proj_weight", 3 * width, width)
            normal(p + "attn.in_proj_bias", 3 * width, scale=0.1)
            linear(p + "attn.out_proj", width, width)
            norm(p + "ln_2", width)
            linear(p + "mlp.c_fc", hidden, width)
            linear(p + "mlp.c_proj", width, hidden)

    grid = (s.image // s.patch) ** 2
    text = "text." if s.siglip else ""
    normal(text + "token_embedding.weight", s.vocabulary, s.text_width, scale=0.3)
    normal(text + "positional_embedding", s.context, s.text_width, scale=0.1)
    blocks(text, s.text_width, s.text_layers, s.text_hidden)
    norm(text + "ln_final", s.text_width)
    if s.siglip:
        linear("text.text_projection", s.embed, s.text_width)
        t = "visual.trunk."
        normal(t + "pos_embed", 1, grid, s.width, scale=0.1)
        normal(t + "patch_embed.proj.weight", s.width, 3, s.patch, s.patch, scale=1 / (s.patch * math.sqrt(3)))
        normal(t + "patch_embed.proj.bias", s.width, scale=0.1)
        for k in range(s.layers):
            p = f"{t}blocks.{k}."
            norm(p + "norm1", s.width)
            linear(p + "attn.qkv", 3 * s.width, s.width)
            linear(p + "attn.proj", s.width, s.width)
            norm(p + "norm2", s.width)
            linear(p + "mlp.fc1", s.hidden, s.width)
            linear(p + "mlp.fc2", s.width, s.hidden)
        norm(t + "norm", s.width)
        p = t + "attn_pool."
        normal(p + "latent", 1, 1, s.width)
        linear(p + "q", s.width, s.width)
        linear(p + "kv", 2 * s.width, s.width)
        linear(p + "proj", s.width, s.width)
        norm(p + "norm", s.width)
        linear(p + "mlp.fc1", s.hidden, s.width)
        linear(p + "mlp.fc2", s.width, s.hidden)
        w["logit_bias"] = torch.tensor(-3.0, dtype=F64).to(dtype)
    else:
        normal("text_projection", s.text_width, s.embed)
        normal("visual.class_embedding", s.width, scale=0.3)
        normal("visual.positional_embedding", grid + 1, s.width, scale=0.1)
        normal("visual.conv1.weight", s.width, 3, s.patch, s.patch, scale=1 / (s.patch * math.sqrt(3)))
        norm("visual.ln_pre", s.width)
        blocks("visual.", s.width, s.layers, s.hidden)
        norm("visual.ln_post", s.width)
        normal("visual.proj", s.width, s.embed)
    w["logit_scale"] = torch.tensor(1.75, dtype=F64).to(dtype)
    return w


def gelu(kind, x):
    if kind == "quick":
        return x * torch.sigmoid(1.702 * x)
    if kind == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def attend(q, k, v, heads, causal):
    def split(x):
        return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

    q, k, v = split(q), split(k), split(v)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if causal:
        t = scores.shape[-1]
        scores = scores + torch.full((t, t), -math.inf, dtype=F64).triu(1)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def block(w, p, names, x, heads, causal, kind, eps):
    """A pre-norm transformer block; names of norm 1, qkv weight and bias, output, norm 2, up, down."""
    n1, qkv, qkv_bias, out, n2, up, down = names
    width = x.shape[-1]
    h = F.layer_norm(x, (width,), w[p + n1 + ".weight"], w[p + n1 + ".bias"], eps)
    q, k, v = (h @ w[p + qkv].T + w[p + qkv_bias]).chunk(3, -1)
    x = x + attend(q, k, v, heads, causal) @ w[p + out + ".weight"].T + w[p + out + ".bias"]
    h = F.layer_norm(x, (width,), w[p + n2 + ".weight"], w[p + n2 + ".bias"], eps)
    h = gelu(kind, h @ w[p + up + ".weight"].T + w[p + up + ".bias"])
    return x + h @ w[p + down + ".weight"].T + w[p + down + ".bias"]


CLIP_BLOCK = ("ln_1", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
TIMM_BLOCK = ("norm1", "attn.qkv.weight", "attn.qkv.bias", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def patches(x, kernel, size):
    n, c, h, _ = x.shape
    g = h // size
    cut = x[:, :, : g * size, : g * size].reshape(n, c, g, size, g, size).permute(0, 2, 4, 1, 3, 5).reshape(n, g * g, -1)
    return cut @ kernel.flatten(1).T


def image_tower(s, w, pixels):
    if s.siglip:
        t = "visual.trunk."
        x = patches(pixels, w[t + "patch_embed.proj.weight"], s.patch) + w[t + "patch_embed.proj.bias"]
        x = x + w[t + "pos_embed"]
        for k in range(s.layers):
            x = block(w, f"{t}blocks.{k}.", TIMM_BLOCK, x, s.heads, False, s.kind, s.eps)
        x = F.layer_norm(x, (s.width,), w[t + "norm.weight"], w[t + "norm.bias"], s.eps)
        p = t + "attn_pool."
        q = (w[p + "latent"] @ w[p + "q.weight"].T + w[p + "q.bias"]).expand(x.shape[0], 1, s.width)
        k, v = (x @ w[p + "kv.weight"].T + w[p + "kv.bias"]).chunk(2, -1)
        x = attend(q, k, v, s.heads, False)[:, 0] @ w[p + "proj.weight"].T + w[p + "proj.bias"]
        h = F.layer_norm(x, (s.width,), w[p + "norm.weight"], w[p + "norm.bias"], s.eps)
        h = gelu(s.kind, h @ w[p + "mlp.fc1.weight"].T + w[p + "mlp.fc1.bias"])
        return x + h @ w[p + "mlp.fc2.weight"].T + w[p + "mlp.fc2.bias"]
    x = patches(pixels, w["visual.conv1.weight"], s.patch)
    x = torch.cat([w["visual.class_embedding"].expand(x.shape[0], 1, s.width), x], 1) + w["visual.positional_embedding"]
    x = F.layer_norm(x, (s.width,), w["visual.ln_pre.weight"], w["visual.ln_pre.bias"], s.eps)
    for k in range(s.layers):
        x = block(w, f"visual.transformer.resblocks.{k}.", CLIP_BLOCK, x, s.heads, False, s.kind, s.eps)
    x = F.layer_norm(x[:, 0], (s.width,), w["visual.ln_post.weight"], w["visual.ln_post.bias"], s.eps)
    return x @ w["visual.proj"]


def text_tower(s, w, ids):
    text = "text." if s.siglip else ""
    x = w[text + "token_embedding.weight"][ids] + w[text + "positional_embedding"]
    for k in range(s.text_layers):
        p = f"{text}transformer.resblocks.{k}."
        x = block(w, p, CLIP_BLOCK, x, s.text_heads, not s.siglip, s.kind, s.eps)
    x = F.layer_norm(x, (s.text_width,), w[text + "ln_final.weight"], w[text + "ln_final.bias"], s.eps)
    if s.siglip:
        return x[:, -1] @ w["text.text_projection.weight"].T + w["text.text_projection.bias"]
    end = (ids == s.vocabulary - 1).int().argmax(1)
    return x[torch.arange(x.shape[0]), end] @ w["text_projection"]


def loss_of(s, w, u, v):
    logits = w["logit_scale"].exp() * F.normalize(u) @ F.normalize(v).T
    if s.siglip:
        logits = logits + w["logit_bias"]
        signs = 2 * torch.eye(len(u), dtype=F64) - 1
        return logits, -F.logsigmoid(signs * logits).sum() / len(u)
    target = torch.arange(len(u))
    return logits, (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def lora(s, w, rank, alpha, generator, blocks):
    """Adapters on q and v of every block of CLIP, and the weights with them merged."""
    adapters, merged = {}, dict(w)
    for prefix, tower, width, layers in blocks:
        for k in range(layers):
            name = f"{prefix}transformer.resblocks.{k}.attn.in_proj_weight"
            weight = w[name].clone()
            for part, row in (("q", 0), ("v", 2 * width)):
                a = torch.randn(rank, width, generator=generator, dtype=F64).float() / math.sqrt(width)
                b = torch.randn(width, rank, generator=generator, dtype=F64).float() * 0.2
                path = f"base_model.model.{tower}.encoder.layers.{k}.self_attn.{part}_proj"
                adapters[path + ".lora_A.weight"], adapters[path + ".lora_B.weight"] = a, b
                weight[row : row + width] += alpha / rank * b.double() @ a.double()
            merged[name] = weight
    return adapters, merged


def hugging_face(s, w):
    """The same tensors by the names of Hugging Face transformers."""
    o = {}

    def copy(to, name):
        o[to + ".weight"], o[to + ".bias"] = w[name + ".weight"], w[name + ".bias"]

    def blocks(to, prefix, layers, names):
        n1, qkv, qkv_bias, out, n2, up, down = names
        for k in range(layers):
            f, t = f"{prefix}{k}.", f"{to}.encoder.layers.{k}."
            for part, x, y in zip("qkv", w[f + qkv].chunk(3), w[f + qkv_bias].chunk(3)):
                o[f"{t}self_attn.{part}_proj.weight"], o[f"{t}self_attn.{part}_proj.bias"] = x, y
            copy(t + "self_attn.out_proj", f + out)
            copy(t + "layer_norm1", f + n1)
            copy(t + "layer_norm2", f + n2)
            copy(t + "mlp.fc1", f + up)
            copy(t + "mlp.fc2", f + down)

    text = "text." if s.siglip else ""
    o["text_model.embeddings.token_embedding.weight"] = w[text + "token_embedding.weight"]
    o["text_model.embeddings.position_embedding.weight"] = w[text + "positional_embedding"]
    blocks("text_model", text + "transformer.resblocks.", s.text_layers, CLIP_BLOCK)
    copy("text_model.final_layer_norm", text + "ln_final")
    o["logit_scale"] = w["logit_scale"]
    v = "vision_model."
    if s.siglip:
        o["logit_scale"], o["logit_bias"] = w["logit_scale"].reshape(1), w["logit_bias"].reshape(1)
        copy("text_model.head", "text.text_projection")
        t, p = "visual.trunk.", "visual.trunk.attn_pool."
        copy(v + "embeddings.patch_embedding", t + "patch_embed.proj")
        o[v + "embeddings.position_embedding.weight"] = w[t + "pos_embed"][0]
        blocks("vision_model", t + "blocks.", s.layers, TIMM_BLOCK)
        copy(v + "post_layernorm", t + "norm")
        o[v + "head.probe"] = w[p + "latent"]
        o[v + "head.attention.in_proj_weight"] = torch.cat([w[p + "q.weight"], w[p + "kv.weight"]])
        o[v + "head.attention.in_proj_bias"] = torch.cat([w[p + "q.bias"], w[p + "kv.bias"]])
        copy(v + "head.attention.out_proj", p + "proj")
        copy(v + "head.layernorm", p + "norm")
        copy(v + "head.mlp.fc1", p + "mlp.fc1")
        copy(v + "head.mlp.fc2", p + "mlp.fc2")
    else:
        o["text_projection.weight"] = w["text_projection"].T
        o[v + "embeddings.class_embedding"] = w["visual.class_embedding"]
        o[v + "embeddings.position_embedding.weight"] = w["visual.positional_embedding"]
        o[v + "embeddings.patch_embedding.weight"] = w["visual.conv1.weight"]
        copy(v + "pre_layrnorm", "visual.ln_pre")
        blocks("vision_model", "visual.transformer.resblocks.", s.layers, CLIP_BLOCK)
        copy(v + "post_layernorm", "visual.ln_post")
        o["visual_projection.weight"] = w["visual.proj"].T
    return o


def configs(s):
    act = {"exact": "gelu", "quick": "quick_gelu", "tanh": "gelu_pytorch_tanh"}[s.kind]
    text = dict(vocab_size=s.vocabulary, hidden_size=s.text_width, intermediate_size=s.text_hidden,
                num_hidden_layers=s.text_layers, num_attention_heads=s.text_heads, max_position_embeddings=s.context,
                hidden_act=act, layer_norm_eps=s.eps)
    vision = dict(hidden_size=s.width, intermediate_size=s.hidden, num_hidden_layers=s.layers,
                  num_attention_heads=s.heads, image_size=s.image, patch_size=s.patch, hidden_act=act,
                  layer_norm_eps=s.eps)
    if s.siglip:
        text["projection_size"] = s.embed
        return dict(model_type="siglip", text_config=text, vision_config=vision), None
    text["eos_token_id"] = s.vocabulary - 1
    model = dict(embed_dim=s.embed, quick_gelu=s.kind == "quick",
                 vision_cfg=dict(image_size=s.image, layers=s.layers, width=s.width, patch_size=s.patch,
                                 head_width=s.width // s.heads, mlp_ratio=s.hidden / s.width),
                 text_cfg=dict(context_length=s.context, vocab_size=s.vocabulary, width=s.text_width,
                               heads=s.text_heads, layers=s.text_layers, mlp_ratio=s.text_hidden / s.text_width))
    return (dict(model_type="clip", projection_dim=s.embed, text_config=text, vision_config=vision),
            dict(model_cfg=model))


def train(s, w, pixels, ids):
    """Three AdamW steps; no decay of tensors with fewer than two dimensions, nor of norms, biases and the scale."""
    free = [n for n, p in w.items() if p.ndim < 2 or any(part in n for part in ("ln", "norm", "bias", "logit"))]
    w = {n: p.clone().requires_grad_() for n, p in w.items()}
    optimizer = torch.optim.AdamW(
        [dict(params=[p for n, p in w.items() if n not in free], weight_decay=0.2),
         dict(params=[w[n] for n in free], weight_decay=0.0)], lr=1e-3, betas=(0.9, 0.98), eps=1e-6)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        _, loss = loss_of(s, w, image_tower(s, w, pixels), text_tower(s, w, ids))
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    losses.append(loss_of(s, w, image_tower(s, w, pixels), text_tower(s, w, ids))[1].item())
    return torch.tensor(losses, dtype=F64), w["logit_scale"].detach().reshape(1)


def model(folder, s, seed, dtype, shards=1):
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    stored = weights(s, generator, dtype)
    save(folder / "open_clip_model.safetensors", stored)
    hf = hugging_face(s, stored)
    if shards == 1:
        save(folder / "model.safetensors", hf, {"format": "pt"})
    else:
        names, index = sorted(hf), {}
        for k in range(shards):
            part = {n: hf[n] for n in names[k::shards]}
            file = f"model-{k + 1:05d}-of-{shards:05d}.safetensors"
            save(folder / file, part, {"format": "pt"})
            index.update({n: file for n in part})
        size = sum(t.numel() * t.element_size() for t in hf.values())
        (folder / "model.safetensors.index.json").write_text(
            json.dumps(dict(metadata=dict(total_size=size), weight_map=index), indent=1) + "\n")
    for name, config in zip(("config.json", "open_clip_config.json"), configs(s)):
        if config:
            (folder / name).write_text(json.dumps(config, indent=1) + "\n")
    pixels = torch.randn(s.batch, 3, s.image, s.image, generator=generator, dtype=F64).float().double()
    ids = torch.randint(1, s.vocabulary - 2, (s.batch, s.context), generator=generator)
    if not s.siglip:
        for row in range(s.batch):
            end = 2 + row % (s.context - 2)
            ids[row, 0], ids[row, end], ids[row, end + 1 :] = s.vocabulary - 2, s.vocabulary - 1, 0
    w = {n: t.double().requires_grad_() for n, t in stored.items()}
    u, v = image_tower(s, w, pixels), text_tower(s, w, ids)
    logits, loss = loss_of(s, w, u, v)
    loss.backward()
    golden = dict(pixel_values=pixels.float(), input_ids=ids, image_features=u, text_features=v,
                  logits_per_image=logits, loss=loss.reshape(1))
    golden.update({"grad." + n: p.grad for n, p in w.items()})
    golden["train.losses"], golden["train.logit_scale"] = train(
        s, {n: p.detach() for n, p in w.items()}, pixels, ids)
    if not s.siglip:
        adapters, merged = lora(s, {n: p.detach() for n, p in w.items()}, 2, 8, generator,
                                [("", "text_model", s.text_width, s.text_layers),
                                 ("visual.", "vision_model", s.width, s.layers)])
        (folder / "adapter").mkdir(exist_ok=True)
        save(folder / "adapter" / "adapter_model.safetensors", adapters, {"format": "pt"})
        (folder / "adapter" / "adapter_config.json").write_text(json.dumps(
            dict(peft_type="LORA", r=2, lora_alpha=8, lora_dropout=0.0, bias="none", use_rslora=False,
                 fan_in_fan_out=False, modules_to_save=None, target_modules=["q_proj", "v_proj"],
                 base_model_name_or_path=folder.name), indent=1) + "\n")
        golden["lora.image_features"] = image_tower(s, merged, pixels)
        golden["lora.text_features"] = text_tower(s, merged, ids)
    save(folder / "golden.safetensors", golden)


def pictures(folder):
    """Pictures and what Pillow and torchvision's arithmetic make of them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.RandomState(3)

    def smooth(height, width, channels):
        coarse = rng.randint(0, 256, (5, 7, channels)).astype("uint8")
        layers = [Image.fromarray(coarse[:, :, c]).resize((width, height), Image.BICUBIC) for c in range(channels)]
        noise = rng.randint(-20, 21, (height, width, channels))
        return numpy.clip(numpy.stack([numpy.asarray(layer) for layer in layers], 2) + noise, 0, 255).astype("uint8")

    made = {
        "wide": Image.fromarray(smooth(41, 90, 3)),
        "tall": Image.fromarray(smooth(101, 37, 3)),
        "small": Image.fromarray(smooth(9, 13, 3)),
        "grey": Image.fromarray(smooth(50, 33, 1)[:, :, 0]),
        "alpha": Image.fromarray(smooth(40, 44, 4)),
        "palette": Image.fromarray(smooth(44, 60, 3)).convert("P", palette=Image.ADAPTIVE, colors=16),
    }
    mean = numpy.array([0.48145466, 0.4578275, 0.40821073], "float32")
    deviation = numpy.array([0.26862954, 0.26130258, 0.27577711], "float32")
    expected = {}
    for name, picture in made.items():
        picture.save(folder / (name + ".png"))
        picture = Image.open(folder / (name + ".png"))
        for size in (16, 24):
            w, h = picture.size
            short = min(w, h)
            to = (size if w == short else int(size * w / short), size if h == short else int(size * h / short))
            crop = picture if to == (w, h) else picture.resize(to, Image.BICUBIC)
            left, top = int(round((to[0] - size) / 2.0)), int(round((to[1] - size) / 2.0))
            crop = crop.crop((left, top, left + size, top + size)).convert("RGB")
            values = (numpy.asarray(crop, "float32") / numpy.float32(255) - mean) / deviation
            expected[f"{name}.{size}"] = torch.tensor(values)
            squashed = numpy.asarray(picture.resize((size, size), Image.BILINEAR).convert("RGB"), "float32")
            expected[f"{name}.{size}.squash"] = torch.tensor((squashed / numpy.float32(255) - 0.5) / 0.5).float()
    save(folder / "expected.safetensors", expected)


def positions(folder):
    """Position embeddings of a 4 x 4 grid for 7 x 7 and 3 x 3, as open_clip interpolates them."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = torch.randn(16, 5, generator=torch.Generator().manual_seed(4))
    tensors = {"grid": grid}
    for side in (7, 3):
        image = grid.reshape(1, 4, 4, 5).permute(0, 3, 1, 2)
        image = F.interpolate(image, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
        tensors[str(side)] = image.permute(0, 2, 3, 1).reshape(side * side, 5)
    save(folder / "positions.safetensors", tensors)


def main():
    out = Path(sys.argv[1])
    clip = dict(siglip=False, vocabulary=40, context=8, text_width=12, text_heads=2, text_layers=2, text_hidden=24,
                image=12, patch=4, width=16, heads=2, layers=2, hidden=32, embed=10, batch=5, eps=1e-5)
    model(out / "clip-exact", Sizes(kind="exact", **clip), 1, torch.float32)
    model(out / "clip-quick-f16", Sizes(kind="quick", **{**clip, "layers": 1, "text_layers": 3}), 2, torch.float16, 3)
    siglip = {**clip, **dict(siglip=True, embed=16, eps=1e-6, text_hidden=20, hidden=36, image=13)}
    model(out / "siglip-bf16", Sizes(kind="tanh", **siglip), 3, torch.bfloat16)
    pictures(out / "pictures")
    positions(out)


main()
