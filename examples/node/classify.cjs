// Classifies a picture over gRPC: node examples/node/classify.cjs [picture] [model] [address]
// Needs: npm install @grpc/grpc-js @grpc/proto-loader
const fs = require("node:fs");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [file = path.join(__dirname, "..", "seven.png"), model = "digits", address = "127.0.0.1:8001"] =
  process.argv.slice(2);

const protos = path.join(__dirname, "..", "..", "protos");
const definition = loader.loadSync("tensorgate/v1/tensorgate.proto", {
  includeDirs: [protos],
  keepCase: true,
  longs: Number,
});
const { TensorgateService } = grpc.loadPackageDefinition(definition).tensorgate.v1;
const client = new TensorgateService(address, grpc.credentials.createInsecure());

const request = { model, images: [{ encoded: fs.readFileSync(file) }], top_k: 3 };
client.Classify(request, { deadline: Date.now() + 5000 }, (error, answer) => {
  if (error) {
    // The stable code, such as model_not_found; the details for programs are in grpc-status-details-bin.
    const [code] = error.metadata.get("tensorgate-code");
    console.error(`${code ?? grpc.status[error.code]}: ${error.details}`);
    process.exitCode = 1;
  } else {
    for (const { label, score } of answer.results[0].classes) {
      console.log(`${label}\t${score.toFixed(4)}`);
    }
  }
  client.close();
});
