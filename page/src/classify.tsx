/** An image classifier: draw, or choose a picture, and watch the scores of the classes. */
import { useEffect, useRef, useState } from "preact/hooks";
import { askJson, type Classification, type Classifier, Failure, modelPath } from "./api";
import { Code } from "./code";
import digits from "./digits.png";
import { Pad } from "./pad";
import { Problem, useAsking } from "./parts";
import { encodedOf, isOnPaper, numbersOf, ofInk, ofPicture, ofStrokes, type Stroke } from "./pixels";
import { Scores } from "./scores";
import { classifySnippets } from "./snippets";

const SHOWN = 12; // classes at most that are all shown, in their own order
const BEST = 5;
const PAUSE = 40; // milliseconds between an answer and the next request
const DIGITS = [..."0123456789"];

interface Props {
  model: string;
  version: number;
  task: Classifier;
}

interface Picture {
  bitmap: ImageBitmap;
  /** Of the user's file; an example has none. */
  name: string | null;
  encoded: string;
}

type Image = { encoded: string } | { pixels: number[][] | number[][][] };

export function Classify({ model, version, task }: Props) {
  const [strokes, setStrokes] = useState<Stroke[]>([]);
  const [picture, setPicture] = useState<Picture | null>(null);
  const [asInk, setAsInk] = useState(false);
  const [image, setImage] = useState<Image | null>(null);
  const preview = useRef<HTMLCanvasElement>(null);
  const asking = useAsking<Classification>();
  const all = task.labels.length > 0 && task.labels.length <= SHOWN;
  const top = all ? task.labels.length : BEST;

  const now = useRef({ strokes, picture, asInk });
  now.current = { strokes, picture, asInk };
  const state = useRef({ changed: false, busy: false });

  /** Asks as long as something changes: one request at a time, each for what is there by then. */
  async function follow(): Promise<void> {
    state.current.changed = true;
    if (state.current.busy) return;
    state.current.busy = true;
    while (state.current.changed) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      state.current.changed = false;
      const { strokes, picture, asInk } = now.current;
      if (!strokes.length && !picture) continue;
      const small = picture ? (asInk ? ofInk : ofPicture)(picture.bitmap, task) : ofStrokes(strokes, task);
      preview.current?.getContext("2d")?.drawImage(small, 0, 0);
      const whole = picture && !asInk ? picture.encoded : encodedOf(small);
      const made: Image = task.accepts_encoded ? { encoded: whole } : { pixels: numbersOf(small, task.channels) };
      setImage(made);
      const body = { version, images: [made], top_k: top };
      await asking.run((signal) => askJson<Classification>(modelPath(model, "/classify"), body, signal));
    }
    state.current.busy = false;
  }
  useEffect(() => {
    if (strokes.length || picture) {
      void follow();
      return;
    }
    setImage(null);
    asking.clear();
  }, [strokes, picture, asInk]);

  async function take(file: Blob, name: string | null): Promise<void> {
    try {
      const bitmap = await createImageBitmap(file);
      const encoded = await base64Of(file);
      setStrokes([]);
      setAsInk(task.channels === 1 && isOnPaper(bitmap));
      setPicture({ bitmap, name, encoded });
    } catch {
      void asking.run(() => Promise.reject(new Failure(`${name ?? "This"} is no picture that this browser can read.`)));
    }
  }
  function draw(next: Stroke[]): void {
    setPicture(null);
    setStrokes(next);
  }
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
      if (file) void take(file, file.name || "pasted.png");
    };
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  }, []);

  const classes = asking.answer?.results[0]?.classes ?? [];
  const labels = all ? task.labels : classes.map((one) => one.label);
  const isEmpty = !strokes.length && !picture;
  return (
    <>
      <div class="two panel">
        <div
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault();
            const file = event.dataTransfer?.files[0];
            if (file) void take(file, file.name);
          }}
        >
          <div class="paper">
            <Pad strokes={strokes} picture={picture?.bitmap ?? null} onDraw={draw} describedBy="pad-help" />
            {isEmpty && <p class="hint">Draw here</p>}
          </div>
          <p id="pad-help" class="quiet">
            Draw, drop or paste a picture{task.labels.join() === DIGITS.join() ? ", or choose an example." : "."}
          </p>
          <div class="row">
            <label class="button">
              Picture …
              <input
                type="file"
                class="hidden"
                accept="image/*"
                onChange={(event) => {
                  const file = event.currentTarget.files?.[0];
                  if (file) void take(file, file.name);
                  event.currentTarget.value = "";
                }}
              />
            </label>
            <label class="button phone">
              Photograph …
              <input
                type="file"
                class="hidden"
                accept="image/*"
                capture="environment"
                onChange={(event) => {
                  const file = event.currentTarget.files?.[0];
                  if (file) void take(file, file.name);
                }}
              />
            </label>
            <button
              disabled={isEmpty}
              onClick={() => {
                setStrokes([]);
                setPicture(null);
              }}
            >
              Clear
            </button>
          </div>
          {picture && task.channels === 1 && (
            <label class="check">
              <input type="checkbox" checked={asInk} onChange={(event) => setAsInk(event.currentTarget.checked)} />
              It is ink on paper: cut it out, light on black
            </label>
          )}
          {task.labels.join() === DIGITS.join() && <Examples onChoose={take} />}
        </div>
        <div class="result">
          {asking.failure && <Problem failure={asking.failure} />}
          <Scores labels={labels} classes={classes} busy={asking.busy} />
          <figure class={isEmpty ? "seen gone" : "seen"}>
            <canvas ref={preview} width={task.width} height={task.height} role="img" aria-label="What the model sees" />
            <figcaption class="quiet">
              What the model sees: {task.width} × {task.height}
            </figcaption>
          </figure>
        </div>
      </div>
      <Code snippets={classifySnippets(model, version, top, image, picture && !asInk ? picture.name : null)} />
    </>
  );
}

function Examples({ onChoose }: { onChoose: (file: Blob, name: null) => void }) {
  async function choose(digit: number): Promise<void> {
    const sheet = new Image();
    sheet.src = digits;
    await sheet.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 8;
    canvas.getContext("2d", { alpha: false })!.drawImage(sheet, -8 * digit, 0);
    canvas.toBlob((file) => file && onChoose(file, null));
  }
  return (
    <div class="row examples" role="group" aria-label="Example pictures">
      {DIGITS.map((label, digit) => (
        <button key={label} aria-label={`Example: a handwritten ${label}`} onClick={() => void choose(digit)}>
          {label}
        </button>
      ))}
    </div>
  );
}

async function base64Of(file: Blob): Promise<string> {
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve((reader.result as string).split(",")[1] ?? "");
    reader.onerror = () => reject(reader.error ?? new Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
}
