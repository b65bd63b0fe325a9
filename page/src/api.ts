/** Calls to the server that this page comes from, over REST; and what its answers are. */

export interface Tensor {
  name: string;
  dtype: string;
  shape?: number[];
}

export interface Signature {
  name: string;
  method_name: string;
  inputs: Tensor[];
  outputs: Tensor[];
  batched: boolean;
  unbatched_reason: string;
}

export interface Classifier {
  height: number;
  width: number;
  channels: number;
  labels: string[];
  accepts_encoded: boolean;
}

export interface Forecaster {
  window: number;
  features: number;
  horizon: number;
  quantile_levels: number[];
}

export interface Version {
  version: number;
  state: string;
  error: string;
  kind: string;
  image_classifier?: Classifier;
  forecaster?: Forecaster;
  signatures: Signature[];
}

export interface Model {
  name: string;
  versions: Version[];
  labels: Record<string, number>;
  problem?: string;
}

export interface Classification {
  version: number;
  results: { classes: { label: string; score: number }[] }[];
}

export interface Forecast {
  version: number;
  forecasts: { values: number[]; quantiles: { level: number; values: number[] }[] }[];
}

export interface Card {
  card: string;
  metrics: Record<string, unknown>;
  plots: { name: string }[];
}

export interface Statistic {
  signature: string;
  side: string;
  tensor: string;
  statistic: string;
  rows: number;
  psi?: number;
  verdict: string;
}

export interface Drift {
  watched: boolean;
  unwatched_reason: string;
  reference: string;
  statistics: Statistic[];
}

export interface Rollout {
  phase: string;
  label: string;
  canary_version: number;
  canary_weight: number;
  step: number;
  step_weights: number[];
  waits: string;
  reason: string;
  message: string;
  versions: { version: number; requests: number; error_rate: number; p99_seconds: number }[];
}

export interface Violation {
  where: string;
  expected: string;
  got: string;
}

/** A request that failed: as the server said, or because there was no answer. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly status = 0,
    readonly code = "",
    readonly errors: Violation[] = [],
    readonly requestId = "",
  ) {
    super(message);
  }
}

const KEY = "tensorgate-key";

/** The key that requests bear, kept until the tab is closed; empty without one. */
export function key(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

export function setKey(value: string): void {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Asks for a path, relative to the page, and returns the response once it is a good one. */
export async function ask(path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers = new Headers();
  if (key()) headers.set("authorization", `Bearer ${key()}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  const init: RequestInit = { headers, cache: "no-store" };
  if (signal) init.signal = signal;
  if (body !== undefined) Object.assign(init, { method: "POST", body: JSON.stringify(body) });
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure("The server does not answer.");
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

export async function askJson<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return (await (await ask(path, body, signal)).json()) as T;
}

/** Returns the path of a model of the typed API. */
export function modelPath(name: string, rest = ""): string {
  return `api/v1/models/${encodeURIComponent(name)}${rest}`;
}

async function failureOf(response: Response): Promise<Failure> {
  const said = await response.json().catch(() => ({}));
  const id = response.headers.get("x-request-id") ?? "";
  const text = said.detail ?? said.error ?? said.title ?? `status ${response.status}`;
  return new Failure(String(text), response.status, said.code ?? "", said.errors ?? [], id);
}
