// Predicts an image with an exported network of images, without Python:
//
//   npm install onnxruntime-node pngjs
//   node predict.mjs exports/digits digit.png
//
// The graph takes raw pixels, uint8 (batch, channels, height, width): there is nothing to normalise.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import * as ort from "onnxruntime-node";
import { PNG } from "pngjs";

const [, , folder, path] = argv;
const model = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
const [input] = model.inputs;
const [, channels, height, width] = input.shape;

const pixels = readPixels(path);
const session = await ort.InferenceSession.create(join(folder, "model.onnx"));
const images = new ort.Tensor(input.dtype, pixels, [1, channels, height, width]);
const { probabilities } = await session.run({ [input.name]: images });
const best = probabilities.data.indexOf(Math.max(...probabilities.data));
console.log(
  JSON.stringify({ class: model.class_names[best], probability: probabilities.data[best] }),
);

/** Read a PNG of the size of the graph, row by row of each channel. */
function readPixels(path) {
  const png = PNG.sync.read(readFileSync(path)); // red, green, blue and alpha of each pixel
  if (png.width !== width || png.height !== height) {
    throw new Error(`Expected ${width} x ${height} pixels, got ${png.width} x ${png.height}.`);
  }
  const pixels = new Uint8Array(channels * height * width);
  for (let i = 0; i < height * width; i++) {
    const colours = png.data.subarray(4 * i, 4 * i + 3);
    if (channels === 1) {
      pixels[i] = grey(colours);
    } else {
      colours.forEach((value, channel) => (pixels[channel * height * width + i] = value));
    }
  }
  return pixels;
}

/** Luma of ITU-R BT.601, as Python's Pillow computes it in integers. */
function grey([red, green, blue]) {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}
