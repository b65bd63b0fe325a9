/** Figures of a model out of the server's metrics, in Prometheus' text format. */

/** What was counted of a model, up to a moment. */
export interface Reading {
  seconds: number;
  requests: number;
  /** How many requests took at most so many seconds. */
  buckets: Map<number, number>;
  rows: number;
  batches: number;
  queue: number;
}

/** What happened between two readings; what nothing is known of is undefined. Latencies are milliseconds. */
export interface Figures {
  rate: number | undefined;
  median: number | undefined;
  most: number | undefined;
  rows: number | undefined;
  queue: number;
}

export function readMetrics(text: string, model: string): Reading {
  const mine = `model_name="${model.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  const reading: Reading = {
    seconds: performance.now() / 1000,
    requests: 0,
    buckets: new Map(),
    rows: 0,
    batches: 0,
    queue: 0,
  };
  for (const line of text.split("\n")) {
    if (!line.startsWith("tensorgate_") || !line.includes(mine)) continue;
    const name = line.slice(0, line.indexOf("{"));
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    if (name === "tensorgate_requests_total") reading.requests += value;
    else if (name === "tensorgate_batch_rows_sum") reading.rows += value;
    else if (name === "tensorgate_batch_rows_count") reading.batches += value;
    else if (name === "tensorgate_batch_queue_requests") reading.queue += value;
    else if (name === "tensorgate_request_duration_seconds_bucket") {
      const limit = /le="([^"]+)"/.exec(line)?.[1] ?? "+Inf";
      const seconds = limit === "+Inf" ? Number.POSITIVE_INFINITY : Number(limit);
      reading.buckets.set(seconds, (reading.buckets.get(seconds) ?? 0) + value);
    }
  }
  return reading;
}

export function since(before: Reading, now: Reading): Figures {
  const seconds = now.seconds - before.seconds;
  const batches = now.batches - before.batches;
  return {
    rate: seconds > 0 ? (now.requests - before.requests) / seconds : undefined,
    median: quantile(0.5, before, now),
    most: quantile(0.95, before, now),
    rows: batches > 0 ? (now.rows - before.rows) / batches : undefined,
    queue: now.queue,
  };
}

/** Returns a quantile in milliseconds, as Prometheus does: evenly within the bucket that it falls into. */
function quantile(share: number, before: Reading, now: Reading): number | undefined {
  const limits = [...now.buckets.keys()].sort((a, b) => a - b);
  const counts = limits.map((limit) => now.buckets.get(limit)! - (before.buckets.get(limit) ?? 0));
  const wanted = (counts.at(-1) ?? 0) * share;
  if (!wanted) return undefined;
  const at = counts.findIndex((count) => count >= wanted);
  const [low, below] = at > 0 ? [limits[at - 1]!, counts[at - 1]!] : [0, 0];
  const high = limits[at]!;
  if (high === Number.POSITIVE_INFINITY) return low * 1000;
  return (low + ((high - low) * (wanted - below)) / (counts[at]! - below)) * 1000;
}
