// Does with @grpc/grpc-js what its standard input says: lines of JSON, as exchange.py has them. Run with NODE_PATH.

const readline = require("node:readline");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const OPTIONS = { keepCase: true, longs: Number, enums: String };
const ENCODINGS = { gzip: grpc.compressionAlgorithms.gzip, deflate: grpc.compressionAlgorithms.deflate };

let services = {};
let underWay = null;
const clients = new Map();

const things = {
  /** Learns the services of a FileDescriptorSet. */
  describe({ files }) {
    services = loader.loadFileDescriptorSetFromBuffer(files, OPTIONS);
  },

  /** Calls a method and waits for its end. */
  call(order) {
    begin(order);
    return underWay.ended;
  },

  /** Calls a method and does not wait. */
  begin,

  /** Gives up the call that was begun. */
  cancel() {
    underWay.call.cancel();
    return underWay.ended;
  },
};

/**
 * Begins a call; sends all messages at once.
 *
 * @param address Of the server.
 * @param service Its full name.
 * @param messages As objects; a method without a stream of them takes one.
 * @param metadata Of the call; each a string.
 * @param seconds Until its deadline.
 * @param encoding How messages are compressed.
 */
function begin({ address, service, method, messages, metadata = {}, seconds = Infinity, encoding }) {
  const client = connected(address, service, encoding);
  const { requestStream, responseStream } = services[service][method];
  const rest = [metadataOf(metadata), { deadline: Date.now() + 1000 * seconds }];
  const answers = [];
  if (!responseStream) rest.push((error, answer) => error || answers.push(answer));
  const call = client[method](...(requestStream ? rest : [messages[0], ...rest]));
  if (requestStream) {
    for (const message of messages) call.write(message);
    call.end();
  }
  underWay = { call, ended: ended(call, answers, responseStream) };
}

function connected(address, service, encoding = "") {
  const key = [address, service, encoding].join();
  if (!clients.has(key)) {
    const Client = grpc.makeGenericClientConstructor(services[service]);
    const options = encoding ? { "grpc.default_compression_algorithm": ENCODINGS[encoding] } : {};
    clients.set(key, new Client(address, grpc.credentials.createInsecure(), options));
  }
  return clients.get(key);
}

/** Returns the answers and how the call ended. */
async function ended(call, answers, responseStream) {
  const result = { answers, headers: {} };
  call.on("metadata", (metadata) => (result.headers = metadata.getMap()));
  const closed = [new Promise((resolve) => call.on("status", resolve))];
  if (responseStream) {
    call.on("data", (answer) => answers.push(answer));
    call.on("error", () => {}); // the status says it
    closed.push(new Promise((resolve) => call.on("end", resolve)));
  }
  const [status] = await Promise.all(closed);
  return { ...result, code: status.code, details: status.details, trailers: status.metadata.getMap() };
}

function metadataOf(entries) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}

function described(key, value) {
  return Buffer.isBuffer(this[key]) ? { $bytes: this[key].toString("base64") } : value;
}

function restored(_, value) {
  return value?.$bytes === undefined ? value : Buffer.from(value.$bytes, "base64");
}

async function serve() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const { do: thing, ...order } = JSON.parse(line, restored);
      answer = { value: (await things[thing](order)) ?? null };
    } catch (error) {
      answer = { raised: error.name, message: error.message, status: error.code };
    }
    process.stdout.write(JSON.stringify(answer, described) + "\n");
  }
}

serve();
