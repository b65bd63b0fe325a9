// Does with grpc-web in a browser what a test says; messages travel between the two as base64.

import { GrpcWebClientBase, MethodDescriptor, MethodType, StatusCode } from "/grpc-web.js";

const asBytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const asText = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

/**
 * Calls a method; resolves with its answers and how it ended.
 *
 * @param url Of the method.
 * @param message The only one.
 * @param format `binary` or `text`.
 * @param stream Whether it answers with a stream.
 * @param enough Answers after which the call is given up.
 * @param metadata Of the call; `deadline` is in milliseconds since 1970.
 */
window.call = ({ url, message, format, stream, enough, metadata }) =>
  new Promise((resolve) => {
    const told = { answers: [] };
    const kind = stream ? MethodType.SERVER_STREAMING : MethodType.UNARY;
    const method = new MethodDescriptor(url, kind, Object, Object, asBytes, asText);
    const client = new GrpcWebClientBase({ format });
    const take = (answer) => {
      told.answers.push(answer);
      if (told.answers.length === enough) {
        call.cancel();
        resolve(told);
      }
    };
    const call = stream
      ? client.serverStreaming(url, message, metadata, method)
      : client.rpcCall(url, message, metadata, method, (error, answer) => error || take(answer));
    if (stream) call.on("data", take);
    call.on("error", () => {}); // the status says it
    call.on("status", ({ code, details, metadata }) => {
      Object.assign(told, { code, details, trailers: metadata });
      if (code !== StatusCode.OK) resolve(told); // without an answer, there may be no end either
    });
    call.on("end", () => resolve(told));
  });
