/** Requests as code: curl, Python, grpcurl and TypeScript. */
import { key, type Signature } from "./api";
import { protoInputs } from "./tensors";

export interface Snippet {
  name: string;
  code: string;
}

type Image = { encoded: string } | { pixels: unknown };

const GRPC = "8001"; // the server's default; over REST nobody is told which it is
const LONGEST = 100_000; // characters given to a command as an argument: Linux takes 128 KiB

const origin = (): string => new URL(".", document.baseURI).href.replace(/\/$/, "");
const grpc = (): string => `${location.hostname}:${GRPC}`;
const isSecure = (): boolean => location.protocol === "https:";
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const json = (value: unknown): string => JSON.stringify(value);
const segment = (name: string): string => encodeURIComponent(name);

function curl(path: string, body: unknown): string {
  const [data, input] = given(json(body), "@-");
  return `curl -H 'Content-Type: application/json' ${bearer()}-d ${data} \\\n  ${quoted(`${origin()}/${path}`)}${input}`;
}

/** Returns what stands behind a command's -d, and what follows the command: what is long comes by its input. */
function given(text: string, byInput: string): [string, string] {
  return text.length > LONGEST ? [byInput, ` <<'JSON'\n${text}\nJSON`] : [quoted(text), ""];
}

function bearer(): string {
  return key() ? `-H "Authorization: Bearer $TENSORGATE_KEY" ` : "";
}

function grpcurl(method: string, message: unknown): string {
  const [data, input] = given(json(message), "@");
  return grpcurlWith(method, data) + input;
}

function grpcurlWith(method: string, data: string): string {
  return `grpcurl ${isSecure() ? "" : "-plaintext "}${bearer()}-d ${data} \\\n  ${grpc()} ${method}`;
}

function typescript(path: string, body: string, before = ""): string {
  const headers = key()
    ? `{ "content-type": "application/json", authorization: \`Bearer \${process.env.TENSORGATE_KEY}\` }`
    : `{ "content-type": "application/json" }`;
  return `${before}const response = await fetch(${json(`${origin()}/${path}`)}, {
  method: "POST",
  headers: ${headers},
  body: JSON.stringify(${body}),
});
if (!response.ok) throw new Error((await response.json()).detail);
console.log(await response.json());`;
}

/** Returns a call of the Python client; what it shows uses `answer`. */
function python(model: string, version: number, call: string, show: string, imports: string[] = []): string {
  const modules = [...imports, ...(key() ? ["import os"] : [])].sort().map((line) => `${line}\n`);
  const options = `${key() ? ', key=os.environ["TENSORGATE_KEY"]' : ""}${isSecure() ? ", tls=True" : ""}`;
  return `${modules.join("")}${modules.length ? "\n" : ""}from tensorgate.client import Client

with Client("${grpc()}"${options}) as client:
    answer = client.model(${json(model)}, version=${version}).${call}
${show}`;
}

/** Returns a classify request as code; `file` names the picture where it is one of the user's own. */
export function classifySnippets(
  model: string,
  version: number,
  top: number,
  image: Image | null,
  file: string | null,
): Snippet[] | null {
  if (!image) return null;
  const path = `api/v1/models/${segment(model)}/classify`;
  const body = { version, images: [image], top_k: top };
  const isFile = file !== null && "encoded" in image;
  const of = json(file ?? "");
  const message = { model, version, images: ["encoded" in image ? image : pixelsMessage(image.pixels)], top_k: top };
  const given = isFile
    ? of
    : "encoded" in image
      ? `base64.b64decode(${json(image.encoded)})`
      : `np.array(${json(image.pixels)})`;
  const imports = isFile ? [] : ["encoded" in image ? "import base64" : "import numpy as np"];
  const call = `classify(${given}, top_k=${top})`;
  const show = "for label, score in answer.classes:\n    print(label, score)";
  const method = "tensorgate.v1.TensorgateService/Classify";
  return [
    {
      name: "curl",
      code: isFile
        ? `curl -H 'Content-Type: image/${typeOf(image.encoded)}' ${bearer()}--data-binary @${quoted(file)} \\\n  ${quoted(`${origin()}/${path}?version=${version}&top_k=${top}`)}`
        : curl(path, body),
    },
    { name: "Python", code: python(model, version, call, show, imports) },
    {
      name: "grpcurl",
      code: isFile
        ? `printf '{"model": %s, "version": ${version}, "images": [{"encoded": "%s"}], "top_k": ${top}}' \\\n  ${quoted(json(model))} "$(base64 < ${quoted(file)} | tr -d '\\n')" | ${grpcurlWith(method, "@")}`
        : grpcurl(method, message),
    },
    {
      name: "TypeScript",
      code: isFile
        ? typescript(
            path,
            `{ version: ${version}, images: [{ encoded }], top_k: ${top} }`,
            `import { readFile } from "node:fs/promises";\n\nconst encoded = (await readFile(${of})).toString("base64");\n`,
          )
        : typescript(path, json(body)),
    },
  ];
}

/** Returns the type of a picture's file by how it begins; the server goes by the file itself. */
function typeOf(encoded: string): string {
  const begins: Record<string, string> = { "/9j/": "jpeg", R0lG: "gif", Qk: "bmp" };
  return Object.entries(begins).find(([start]) => encoded.startsWith(start))?.[1] ?? "png";
}

function pixelsMessage(pixels: unknown): unknown {
  const rows = pixels as (number | number[])[][];
  const channels = Array.isArray(rows[0]![0]) ? rows[0]![0].length : 1;
  return { pixels: { shape: [rows.length, rows[0]!.length, channels], values: rows.flat(2) } };
}

export function forecastSnippets(
  model: string,
  version: number,
  series: number[] | number[][] | null,
  horizon: number,
): Snippet[] | null {
  if (!series) return null;
  const path = `api/v1/models/${segment(model)}/forecast`;
  const body = { version, series: [series], horizon };
  const features = Array.isArray(series[0]) ? series[0].length : 1;
  const one = { values: series.flat(), ...(features > 1 ? { features } : {}) };
  const message = { model, version, series: [one], horizon };
  const call = `forecast(${json(series)}, horizon=${horizon})`;
  const show = `print(answer.values)
for level, values in answer.quantiles.items():
    print(level, values)`;
  return [
    { name: "curl", code: curl(path, body) },
    { name: "Python", code: python(model, version, call, show) },
    { name: "grpcurl", code: grpcurl("tensorgate.v1.TensorgateService/Forecast", message) },
    { name: "TypeScript", code: typescript(path, json(body)) },
  ];
}

/** Returns a request with tensors as code, in TensorFlow Serving's API. */
export function predictSnippets(
  model: string,
  version: number,
  signature: Signature,
  inputs: Record<string, unknown> | null,
): Snippet[] | null {
  if (!inputs) return null;
  const path = `v1/models/${segment(model)}/versions/${version}:predict`;
  const body = { signature_name: signature.name, inputs };
  const spec = { name: model, version, signature_name: signature.name };
  const message = { model_spec: spec, inputs: protoInputs(signature, inputs) };
  const call = `predict(${pythonOf(inputs)}, signature=${json(signature.name)})`;
  const show = "for name, array in answer.items():\n    print(name, array)";
  return [
    { name: "curl", code: curl(path, body) },
    { name: "Python", code: python(model, version, call, show, call.includes(DECODE) ? ["import base64"] : []) },
    { name: "grpcurl", code: grpcurl("tensorflow.serving.PredictionService/Predict", message) },
    { name: "TypeScript", code: typescript(path, json(body)).replace(".detail", ".error") },
  ];
}

const DECODE = "base64.b64decode(";

/** Returns a value of JSON as Python writes it; bytes are {"b64": …} there. */
function pythonOf(value: unknown): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object" && "b64" in value) return `${DECODE}${json(value.b64)})`;
  if (typeof value === "object")
    return `{${Object.entries(value as object)
      .map(([name, one]) => `${json(name)}: ${pythonOf(one)}`)
      .join(", ")}}`;
  return json(value);
}
