// Rebuilds ../captions.tsv and the three picture sheets from the pinned packages: node build.mjs [output folder].
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import pako from 'pako';
import { PNG } from 'pngjs';

const CELL = 32;
const COLUMNS = 44; // 44 x 44 >= 1911
const SOURCE = 2 * CELL; // all three designs are read at 64 px and averaged down 2 x 2

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, '..');
const require = createRequire(import.meta.url);
const folderOf = (name, file) => join(here, 'node_modules', name, file);

/** Hexcodes differ between the packages only in case and in the invisible variation selector FE0F. */
const key = (hexcode) => hexcode.toUpperCase().replaceAll('-FE0F', '');

function byKey(folder, extension) {
  const names = readdirSync(folder).filter((name) => name.endsWith(extension));
  return new Map(names.map((name) => [key(name.slice(0, -extension.length)), join(folder, name)]));
}

const rasterisers = {
  noto: pngReader(folderOf('emoji-datasource-google', 'img/google/64')),
  twemoji: pngReader(folderOf('emoji-datasource-twitter', 'img/twitter/64')),
  openmoji: svgReader(folderOf('openmoji', 'color/svg')),
};

/** Straight-alpha RGBA, SOURCE x SOURCE. */
function pngReader(folder) {
  const files = byKey(folder, '.png');
  return (concept) => {
    const png = PNG.sync.read(readFileSync(files.get(concept)));
    if (png.width !== SOURCE || png.height !== SOURCE) {
      throw new Error(`${concept} is ${png.width} x ${png.height}, wanted ${SOURCE}`);
    }
    return png.data;
  };
}

function svgReader(folder) {
  const files = byKey(folder, '.svg');
  return (concept) => {
    const svg = new Resvg(readFileSync(files.get(concept), 'utf8'), {
      fitTo: { mode: 'width', value: SOURCE },
      font: { loadSystemFonts: false }, // the same pixels on every machine
    });
    return PNG.sync.read(svg.render().asPng()).data;
  };
}

/** Composites on white and averages 2 x 2 pixels into cell number `index` of the sheet. */
function draw(sheet, width, index, rgba) {
  const left = (index % COLUMNS) * CELL;
  const top = Math.floor(index / COLUMNS) * CELL;
  for (let y = 0; y < CELL; y++) {
    for (let x = 0; x < CELL; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0; // of value * alpha + white * (255 - alpha), an integer: no rounding differs between machines
        for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
          const at = ((2 * y + dy) * SOURCE + 2 * x + dx) * 4;
          const alpha = rgba[at + 3];
          sum += rgba[at + c] * alpha + 255 * (255 - alpha);
        }
        sheet[((top + y) * width + left + x) * 3 + c] = Math.floor((sum + 510) / 1020);
      }
    }
  }
}

/** An 8-bit RGB PNG whose bytes depend only on the pixels and on pako, not on the zlib inside node. */
function encodePng(width, height, rgb) {
  const stride = width * 3;
  const lines = Buffer.alloc(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    filterLine(rgb, y, stride, lines.subarray(y * (stride + 1), (y + 1) * (stride + 1)));
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const packed = Buffer.from(pako.deflate(lines, { level: 9, memLevel: 9 }));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', packed), chunk('IEND', Buffer.alloc(0))]);
}

/** Writes the PNG filter with the smallest sum of absolute residuals, the usual heuristic. */
function filterLine(rgb, y, stride, target) {
  let best = Infinity;
  for (let type = 0; type < 5; type++) {
    const line = Buffer.alloc(stride + 1);
    line[0] = type;
    let cost = 0;
    for (let i = 0; i < stride; i++) {
      const a = i >= 3 ? rgb[y * stride + i - 3] : 0;
      const b = y > 0 ? rgb[(y - 1) * stride + i] : 0;
      const c = i >= 3 && y > 0 ? rgb[(y - 1) * stride + i - 3] : 0;
      const value = (rgb[y * stride + i] - [0, a, b, (a + b) >> 1, paeth(a, b, c)][type]) & 255;
      line[i + 1] = value;
      cost += value < 128 ? value : 256 - value;
    }
    if (cost < best) {
      best = cost;
      line.copy(target);
    }
  }
}

function paeth(a, b, c) {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

const CRC = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return Buffer.concat([length, body, check]);
}

/** `label: tag, tag`; tags that only repeat the label say nothing. */
function caption(entry) {
  const tags = (entry.tags ?? []).filter((tag) => tag !== entry.label);
  return tags.length ? `${entry.label}: ${tags.join(', ')}` : entry.label;
}

const concepts = new Set(require('emoji-datasource-google/emoji.json').map((entry) => key(entry.unified)));
const entries = require('emojibase-data/en/data.json')
  .filter((entry) => concepts.has(key(entry.hexcode)))
  .sort((a, b) => a.order - b.order);
if (entries.length !== 1911) throw new Error(`${entries.length} concepts, wanted 1911`);

const outputs = [];
function write(name, bytes) {
  const path = join(out, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  outputs.push(`${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`);
}

const rows = ['image\tcaption\tconcept\tgroup\n'];
const width = COLUMNS * CELL;
const height = Math.ceil(entries.length / COLUMNS) * CELL;
for (const [design, read] of Object.entries(rasterisers)) {
  const sheet = Buffer.alloc(width * height * 3, 255);
  entries.forEach((entry, index) => {
    draw(sheet, width, index, read(key(entry.hexcode)));
    const x = (index % COLUMNS) * CELL;
    const y = Math.floor(index / COLUMNS) * CELL;
    rows.push(`${design}/sheet.png#xywh=${x},${y},${CELL},${CELL}\t${caption(entry)}\t${entry.hexcode}\t${design}\n`);
  });
  write(`${design}/sheet.png`, encodePng(width, height, sheet));
}
write('captions.tsv', Buffer.from(rows.join('')));
writeFileSync(join(out, 'SHA256SUMS'), outputs.join(''));
