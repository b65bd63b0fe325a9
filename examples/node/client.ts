// A typed client over REST: the types are generated from the server's own OpenAPI document.
//   npm install openapi-fetch openapi-typescript typescript
//   npx openapi-typescript http://127.0.0.1:8000/openapi.json --output api.d.ts
//   npx tsc --strict --skipLibCheck client.ts   (values that hold values, in api.d.ts, are beyond tsc's own check of it)
import createClient from "openapi-fetch";
import type { paths } from "./api";

const baseUrl = process.argv[2] ?? "http://127.0.0.1:8000";
const client = createClient<paths>({ baseUrl });

async function main(): Promise<void> {
  const models = await client.GET("/api/v1/models");
  for (const model of models.data?.models ?? []) {
    console.log(model.name, model.versions.map((version) => version.version).join(", "));
  }
  const series = Array.from({ length: 200 }, (_, step) => 50 + 40 * Math.sin(step / 1.7));
  const forecast = await client.POST("/api/v1/models/{model}/forecast", {
    params: { path: { model: "sunspots" } },
    body: { series: [series], horizon: 3 },
  });
  if (forecast.error) {
    // What was wrong, where, what was expected and what came.
    console.error(forecast.error.code, forecast.error.detail);
    process.exitCode = 1;
    return;
  }
  console.log(forecast.data.forecasts[0].values.map((value) => value.toFixed(1)).join(" "));
}

void main();
