"""Makes augmentations.json: changes of one picture as torchvision makes them on Pillow pictures
(python3 augmentations.py, Pillow 12.3.0, NumPy). The functions are those of torchvision's functional_pil.py."""
import json

import numpy
from PIL import Image, ImageEnhance

WIDTH, HEIGHT = 31, 23
picture = Image.new("RGB", (WIDTH, HEIGHT))
for y in range(HEIGHT):
    for x in range(WIDTH):
        picture.putpixel((x, y), tuple((x * 7 + y * 13 + c * 50 + x * y % 31 * 5) & 255 for c in range(3)))


def hue(image, share):
    h, s, v = image.convert("HSV").split()
    shifted = numpy.array(h, dtype=numpy.uint8)
    shifted = shifted + numpy.array(int(share * 255) & 255, dtype=numpy.uint8)
    return Image.merge("HSV", (Image.fromarray(shifted, "L"), s, v)).convert("RGB")


cases = {
    "crop": picture.crop((5, 3, 5 + 20, 3 + 17)).resize((9, 9), Image.BICUBIC),
    "brightness 1.37": ImageEnhance.Brightness(picture).enhance(1.37),
    "brightness 0.45": ImageEnhance.Brightness(picture).enhance(0.45),
    "contrast 1.6": ImageEnhance.Contrast(picture).enhance(1.6),
    "contrast 0.63": ImageEnhance.Contrast(picture).enhance(0.63),
    "saturation 1.8": ImageEnhance.Color(picture).enhance(1.8),
    "saturation 0.2": ImageEnhance.Color(picture).enhance(0.2),
    "hue 0.23": hue(picture, 0.23),
    "hue -0.4": hue(picture, -0.4),
    "grey": picture.convert("L").convert("RGB"),
}
with open("augmentations.json", "w") as out:
    json.dump({name: image.tobytes().hex() for name, image in cases.items()}, out, indent=0)
    out.write("\n")
