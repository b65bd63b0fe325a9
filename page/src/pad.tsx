/** What one draws on, with a mouse, a pen or a finger. */
import { useEffect, useRef } from "preact/hooks";
import type { Stroke } from "./pixels";

const SIDE = 560; // of the canvas; on the page it is as wide as there is room

interface Props {
  strokes: Stroke[];
  picture: ImageBitmap | null;
  onDraw: (strokes: Stroke[]) => void;
  describedBy: string;
}

export function Pad({ strokes, picture, onDraw, describedBy }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<Stroke[]>(strokes);
  drawn.current = strokes;
  useEffect(() => {
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const paint = () => painted(canvas.current!, strokes, picture);
    paint();
    scheme.addEventListener("change", paint);
    return () => scheme.removeEventListener("change", paint);
  }, [strokes, picture]);

  function pointOf(event: PointerEvent) {
    const box = canvas.current!.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * SIDE,
      y: ((event.clientY - box.top) / box.height) * SIDE,
    };
  }
  function begin(event: PointerEvent): void {
    if (event.button !== 0) return;
    canvas.current!.setPointerCapture(event.pointerId);
    onDraw([...drawn.current, [pointOf(event)]]);
  }
  function go(event: PointerEvent): void {
    if (!canvas.current!.hasPointerCapture(event.pointerId)) return;
    const strokes = drawn.current;
    const last = strokes.at(-1);
    if (last) onDraw([...strokes.slice(0, -1), [...last, pointOf(event)]]);
  }
  return (
    <canvas
      ref={canvas}
      class="pad"
      width={SIDE}
      height={SIDE}
      role="img"
      aria-label="Drawing"
      aria-describedby={describedBy}
      onPointerDown={begin}
      onPointerMove={go}
    />
  );
}

function painted(canvas: HTMLCanvasElement, strokes: Stroke[], picture: ImageBitmap | null): void {
  const context = canvas.getContext("2d")!;
  context.clearRect(0, 0, SIDE, SIDE);
  if (picture) {
    const scale = Math.min(SIDE / picture.width, SIDE / picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  }
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = SIDE / 14;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    for (const { x, y } of stroke.length === 1 ? [stroke[0]!, stroke[0]!] : stroke) context.lineTo(x, y);
    context.stroke();
  }
}
