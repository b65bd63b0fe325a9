// Checks resources by the schemas of their operators, from the packages @kubernetes-models: reads a list of {model,
// manifest} from standard input, and writes for each what is wrong with it, or null.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));

function complaint({ model, manifest }) {
  const made = require(`@kubernetes-models/${model}`);
  const Model = made[model.split("/").pop()];
  try {
    new Model(manifest).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf-8")).map(complaint)));
