"""Makes the pictures of this folder and expected.json: python3 make.py (Pillow 12.3.0).

expected.json holds, for each file, width, height and the RGB values of a 4 x 4 grid of pixels as Pillow decodes them,
on white, upright by EXIF."""
import json
from PIL import Image, ImageCms, ImageOps


def picture(width, height):
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 255 // (width + height - 2)))
    return image


def save(name, image, **options):
    image.save(name, **options)
    files.append(name)


def rewrite(name, change):
    with open(name, "rb") as file:
        data = file.read()
    with open(name, "wb") as file:
        file.write(change(data))


def fill_bytes(data):
    """FF fill bytes before a marker, which the JPEG standard allows (B.1.1.2)."""
    at = data.index(b"\xff\xdb")
    return data[:at] + b"\xff\xff\xff" + data[at:]


def bad_icc(data):
    at = 2
    body = b"ICC_PROFILE\0\1\1" + b"this is no profile" * 10
    return data[:at] + b"\xff\xe2" + (len(body) + 2).to_bytes(2, "big") + body + data[at:]


files = []
rgb = picture(24, 16)
save("rgb.jpg", rgb, quality=95, subsampling=0)
save("subsampled.jpg", rgb, quality=95, subsampling=2)
save("progressive.jpg", rgb, quality=95, subsampling=0, progressive=True)
save("grey.jpg", rgb.convert("L"), quality=95)
save("cmyk.jpg", rgb.convert("CMYK"), quality=95)
save("fill-bytes.jpg", rgb, quality=95, subsampling=0)
rewrite("fill-bytes.jpg", fill_bytes)
save("bad-icc.jpg", rgb, quality=95, subsampling=0)
rewrite("bad-icc.jpg", bad_icc)
lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
save("lab-icc.jpg", rgb, quality=95, subsampling=0, icc_profile=lab)
save("lossy.webp", rgb, quality=95)
save("lossless.webp", rgb, lossless=True)
alpha = rgb.copy()
alpha.putalpha(rgb.convert("L"))
save("alpha.webp", alpha, lossless=True, exact=True)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save("orientation-%d.jpg" % orientation, rgb, quality=95, subsampling=0, exif=exif)
exif = Image.Exif()
exif[0x0112] = 6
save("orientation-6.png", rgb, exif=exif)
save("orientation-6.webp", rgb, lossless=True, exif=exif)
sixteen = Image.frombytes("I;16", (8, 8), b"".join((257 * (4 * k)).to_bytes(2, "little") for k in range(64)))
save("predictor-16.tif", sixteen, compression="tiff_lzw", tiffinfo={317: 2})

expected = {}
for name in files:
    image = ImageOps.exif_transpose(Image.open(name))
    if image.mode == "I;16":
        image = image.point(lambda v: v / 257).convert("L")
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    w, h = image.size
    grid = [list(image.getpixel((x * (w - 1) // 3, y * (h - 1) // 3))) for y in range(4) for x in range(4)]
    expected[name] = {"width": w, "height": h, "grid": grid}
with open("expected.json", "w") as out:
    json.dump(expected, out, separators=(",", ":"))
    out.write("\n")
