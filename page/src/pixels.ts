/** Drawings and pictures of ink, made what classifiers of characters are trained on: light on black, cut and centred. */

export interface Point {
  x: number;
  y: number;
}

export type Stroke = Point[];

export interface Size {
  width: number;
  height: number;
}

const FINE = 16; // pixels of the drawing for each of the model's, a side
const PEN = 0.19; // of the height of what is drawn
const INK = 0.3; // how much darker or lighter than its paper ink is, at least
const LARGEST = 640; // pixels of a picture in which ink is looked for, a side

/** Returns how much of each side is left free: MNIST's pictures have such a margin, tiny ones have no room for it. */
function margin(size: Size): number {
  return Math.min(size.width, size.height) < 20 ? 0 : 1 / 7;
}

function canvasOf(size: Size): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = size.width;
  canvas.height = size.height;
  return [canvas, canvas.getContext("2d", { alpha: false, willReadFrequently: true })!];
}

/** Returns strokes as a picture of the model's size. */
export function ofStrokes(strokes: Stroke[], size: Size): HTMLCanvasElement {
  const points = strokes.flat();
  const left = Math.min(...points.map((point) => point.x));
  const right = Math.max(...points.map((point) => point.x));
  const top = Math.min(...points.map((point) => point.y));
  const bottom = Math.max(...points.map((point) => point.y));
  const [fine, context] = canvasOf({ width: size.width * FINE, height: size.height * FINE });
  const free = margin(size);
  const room = { width: fine.width * (1 - 2 * free), height: fine.height * (1 - 2 * free) };
  const pen = room.height * PEN;
  const scale = Math.min(
    (room.width - pen) / Math.max(right - left, 1e-6),
    (room.height - pen) / Math.max(bottom - top, 1e-6),
  );
  context.strokeStyle = "#fff";
  context.lineWidth = pen;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    for (const { x, y } of stroke.length === 1 ? [stroke[0]!, stroke[0]!] : stroke) {
      context.lineTo(
        fine.width / 2 + (x - (left + right) / 2) * scale,
        fine.height / 2 + (y - (top + bottom) / 2) * scale,
      );
    }
    context.stroke();
  }
  return averaged(fine, size);
}

/** Returns a picture as it is, of the model's size. */
export function ofPicture(picture: ImageBitmap, size: Size): HTMLCanvasElement {
  const [canvas, context] = canvasOf(size);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, size.width, size.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, size.width, size.height);
  return canvas;
}

/** Returns the ink of a picture, cut out, light on black, and of the model's size; the picture as it is without any. */
export function ofInk(picture: ImageBitmap, size: Size): HTMLCanvasElement {
  const shrunk = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * shrunk));
  const height = Math.max(1, Math.round(picture.height * shrunk));
  const data = ofPicture(picture, { width, height }).getContext("2d")!.getImageData(0, 0, width, height);
  const grey = greyOf(data.data);
  const paper = paperOf(grey, width, height);
  const apart = grey.map((value) => Math.abs(value - paper));
  const most = apart.reduce((a, b) => Math.max(a, b), 0) || 1;
  let [left, right, top, bottom] = [width, -1, height, -1];
  apart.forEach((value, at) => {
    if (value / most < INK) return;
    const x = at % width;
    const y = (at - x) / width;
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  });
  if (right < 0) return ofPicture(picture, size);
  const pixels = new Uint8ClampedArray(width * height * 4);
  apart.forEach((value, at) => {
    const level = value / most < INK ? 0 : (value / most) * 255;
    pixels.set([level, level, level, 255], at * 4);
  });
  const [cut, on] = canvasOf({ width, height });
  on.putImageData(new ImageData(pixels, width, height), 0, 0);
  const [fine, context] = canvasOf({ width: size.width * FINE, height: size.height * FINE });
  const free = margin(size);
  const box = { width: right - left + 1, height: bottom - top + 1 };
  const scale = Math.min((fine.width * (1 - 2 * free)) / box.width, (fine.height * (1 - 2 * free)) / box.height);
  const [w, h] = [box.width * scale, box.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(cut, left, top, box.width, box.height, (fine.width - w) / 2, (fine.height - h) / 2, w, h);
  return averaged(fine, size);
}

/** Whether a picture looks like ink on bright paper, as photographs of handwriting do. */
export function isOnPaper(picture: ImageBitmap): boolean {
  const size = { width: 64, height: 64 };
  const { data } = ofPicture(picture, size).getContext("2d")!.getImageData(0, 0, size.width, size.height);
  return paperOf(greyOf(data), size.width, size.height) > 110;
}

/** Returns numbers 0 to 255 as [height][width], or [height][width][channels]. */
export function numbersOf(canvas: HTMLCanvasElement, channels: number): number[][] | number[][][] {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
  const grey = greyOf(data);
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => y * width + x));
  if (channels === 1) return rows.map((row) => row.map((at) => Math.round(grey[at]!)));
  return rows.map((row) => row.map((at) => [...data.slice(at * 4, at * 4 + 3)]));
}

/** Returns a picture as base64 of a PNG file. */
export function encodedOf(canvas: HTMLCanvasElement): string {
  return canvas.toDataURL("image/png").split(",")[1]!;
}

function greyOf(data: Uint8ClampedArray): Float32Array {
  const grey = new Float32Array(data.length / 4);
  for (let at = 0; at < grey.length; at++)
    grey[at] = 0.299 * data[at * 4]! + 0.587 * data[at * 4 + 1]! + 0.114 * data[at * 4 + 2]!;
  return grey;
}

/** Returns the shade of what ink is on: the median of the picture's rim. */
function paperOf(grey: Float32Array, width: number, height: number): number {
  const rim: number[] = [];
  for (let x = 0; x < width; x++) rim.push(grey[x]!, grey[(height - 1) * width + x]!);
  for (let y = 0; y < height; y++) rim.push(grey[y * width]!, grey[y * width + width - 1]!);
  return rim.sort((a, b) => a - b)[rim.length >> 1]!;
}

/** Returns a fine picture with each square of pixels averaged to one. */
function averaged(fine: HTMLCanvasElement, size: Size): HTMLCanvasElement {
  const { data } = fine.getContext("2d")!.getImageData(0, 0, fine.width, fine.height);
  const pixels = new ImageData(size.width, size.height);
  for (let y = 0; y < size.height; y++)
    for (let x = 0; x < size.width; x++) {
      let sum = 0;
      for (let row = 0; row < FINE; row++)
        for (let column = 0; column < FINE; column++)
          sum += data[((y * FINE + row) * fine.width + x * FINE + column) * 4]!;
      const level = sum / (FINE * FINE);
      pixels.data.set([level, level, level, 255], (y * size.width + x) * 4);
    }
  const [canvas, context] = canvasOf(size);
  context.putImageData(pixels, 0, 0);
  return canvas;
}
