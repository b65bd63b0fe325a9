// Checks resources by the schemas of their operators, from the packages @kubernetes-models: reads a list of {model,
// manifest} from standard input, and writes for each what is wrong with it, or null.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const models = join(process.argv[2], "node_modules/@kubernetes-models");

async function complaint({ model, manifest }) {
  const made = await import(pathToFileURL(join(models, `${model}.js`)));
  try {
    new made[model.split("/").pop()](manifest).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

const found = [];
for (const asked of JSON.parse(readFileSync(0, "utf-8"))) found.push(await complaint(asked));
process.stdout.write(JSON.stringify(found));
