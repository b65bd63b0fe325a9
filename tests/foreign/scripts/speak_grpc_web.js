// Does with grpc-web in a browser what a test says; messages are bytes in base64, and stay so.

import { GrpcWebClientBase, MethodDescriptor, MethodType } from "/grpc-web.js";

const asBytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const asText = (bytes) => btoa(String.fromCharCode(...bytes));

/**
 * Calls a method; resolves when the call is over.
 *
 * @param url Of the method.
 * @param message In base64.
 * @param format `binary` or `text`.
 * @param stream Whether the method answers with a stream.
 * @param enough Answers after which the call is given up.
 * @param metadata Of the call.
 */
window.call = ({ url, message, format, stream = false, enough = Infinity, metadata = {} }) =>
  new Promise((resolve) => {
    const told = { answers: [], headers: {}, status: null, error: null };
    const kind = stream ? MethodType.SERVER_STREAMING : MethodType.UNARY;
    const method = new MethodDescriptor(url, kind, Object, Object, asBytes, asText);
    const client = new GrpcWebClientBase({ format });
    const failed = ({ code, message, metadata }) => (told.error = { code, message, metadata });
    const events = [];
    told.events = events;
    const answered = (answer) => {
      told.answers.push(answer);
      if (told.answers.length === enough) {
        call.cancel();
        resolve(told);
      }
    };
    const call = stream
      ? client.serverStreaming(url, message, metadata, method)
      : client.rpcCall(url, message, metadata, method, (error, answer) => { events.push("callback"); error ? failed(error) : answered(answer)});
    if (stream) call.on("data", (a) => {events.push("data"); answered(a)});
    call.on("error", (e)=>{events.push("error"); failed(e)});
    call.on("metadata", (headers) => {events.push("metadata"); told.headers = headers});
    call.on("status", (status) => {events.push("status"); told.status = status});
    call.on("end", () => {events.push("end"); });
    setTimeout(() => resolve(told), 1500);
  });
