/*
 * A load generator of which no two messages are alike: each has an id and numbers of its own.
 *
 * It sends a template over and over, and before each time writes new bytes where the mask says so: '#' a digit of the
 * message's id, 'd' a random digit, 'f' a byte of a random float32 in [0, 1). A template is a gRPC message with its
 * prefix, or a whole HTTP/1.1 request; the mask comes after it in the same file and is as long.
 *
 *   loader KIND PORT PATH FILE CONNECTIONS WINDOW WARM_UP SECONDS LEAST MOST ECHO
 *
 * KIND is unary (WINDOW calls under way on each connection), stream (a call on each connection with WINDOW messages
 * under way) or rest (a request under way on each connection). An answer is good when its status is, when it has LEAST
 * to MOST bytes and, if ECHO is 1, when its request's id is in it. Those that come in SECONDS after WARM_UP seconds
 * count. Prints one JSON object; latencies in ms, from before a request is written until its answer has been read.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "messages.h"

enum { PREFIX = 5, ANSWER_BYTES = 65536, FRAME_BYTES = 32768, STALLED_MS = 30000 };
enum kind { UNARY, STREAM, REST };

struct call { /* one HTTP/2 stream at a time, or an HTTP/1.1 connection */
  struct connection *connection;
  struct message *ring;          /* its messages; how many of them so far were */
  unsigned made, sent, answered; /* in this order */
  size_t offset;                 /* within the one that is being sent */
  char answer[ANSWER_BYTES + 1];
  size_t length;
  int ok;            /* the server said so in the trailers */
  char problem[160]; /* what it said instead */
};
struct connection {
  int socket;
  nghttp2_session *session;
  struct call *calls;
  char *out; /* to be written, from here to there */
  size_t from, to;
};

static enum kind kind;
static char authority[32], *path;
static int port, window, ring_size, poller, open_calls;
static size_t out_bytes;

static struct message *next_message(struct call *call) {
  struct message *message = &call->ring[call->made++ % ring_size];
  message_renew(message);
  return message;
}

/* Takes the answer to a call's oldest message. */
static void take_answer(struct call *call, const char *body, size_t length, const char *problem) {
  message_answered(&call->ring[call->answered++ % ring_size], body, length, problem);
}

static void collect(struct call *call, const void *data, size_t length) {
  if (call->length + length > ANSWER_BYTES) die("an answer is too long");
  memcpy(call->answer + call->length, data, length);
  call->length += length;
  call->answer[call->length] = 0;
}

/* Writes what there is to write, until the socket takes no more. */
static void flush(struct connection *connection) {
  for (;;) {
    if (connection->from == connection->to) {
      connection->from = connection->to = 0;
      while (connection->session && connection->to + FRAME_BYTES < out_bytes) {
        const uint8_t *frame;
        ssize_t length = nghttp2_session_mem_send(connection->session, &frame);
        if (length < 0) die(nghttp2_strerror(length));
        if (length == 0) break;
        memcpy(connection->out + connection->to, frame, length);
        connection->to += length;
      }
      if (connection->to == 0) return;
    }
    ssize_t count = write(connection->socket, connection->out + connection->from, connection->to - connection->from);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) die("write");
    connection->from += count;
  }
}

static ssize_t read_message(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *unused) {
  struct call *call = source->ptr;
  if (call->sent == call->made) { /* only a stream gets here */
    if (!time_is_up() || call->answered < call->made) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 0;
  }
  size_t left = message_size - call->offset, count = left < room ? left : room;
  memcpy(to, call->ring[call->sent % ring_size].bytes + call->offset, count);
  call->offset += count;
  if (call->offset == message_size) {
    call->offset = 0, call->sent++;
    if (kind == UNARY) *flags |= NGHTTP2_DATA_FLAG_EOF;
  }
  return count;
}

static nghttp2_nv header(const char *name, const char *value) {
  return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void start_call(struct call *call) {
  nghttp2_nv headers[] = {
      header(":method", "POST"),        header(":scheme", "http"), header(":path", path),
      header(":authority", authority),  header("te", "trailers"),  header("content-type", "application/grpc"),
  };
  nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_message};
  call->made = call->sent = call->answered = call->offset = call->length = 0;
  call->ok = call->problem[0] = 0;
  while (call->made < (unsigned)ring_size) next_message(call);
  int32_t stream = nghttp2_submit_request(call->connection->session, NULL, headers, 6, &provider, call);
  if (stream < 0) die(nghttp2_strerror(stream));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t length, uint8_t flags, void *unused) {
  struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  const char *key = (const char *)name, *text = (const char *)value; /* both end in a zero byte */
  int is_http_status = !strcmp(key, ":status"), is_grpc_status = !strcmp(key, "grpc-status");
  int is_message = !strcmp(key, "grpc-message") && text[0];
  if (is_grpc_status && !strcmp(text, "0")) call->ok = 1;
  else if (is_grpc_status || is_message || (is_http_status && strcmp(text, "200"))) {
    size_t used = strlen(call->problem);
    snprintf(call->problem + used, sizeof call->problem - used, "%s %s ", key, text);
  }
  return 0;
}

/* Returns how many bytes the first message of what was collected has, with its prefix; 0 as long as it is not whole. */
static size_t whole_message(const struct call *call) {
  uint32_t length;
  if (call->length < PREFIX || call->answer[0]) return 0; /* 1 would mean compressed: nobody asked for that */
  memcpy(&length, call->answer + 1, sizeof length);
  return call->length - PREFIX >= ntohl(length) ? PREFIX + (size_t)ntohl(length) : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t length,
                   void *unused) {
  struct call *call = nghttp2_session_get_stream_user_data(session, stream);
  collect(call, data, length);
  for (size_t whole; kind == STREAM && (whole = whole_message(call));) {
    take_answer(call, call->answer + PREFIX, whole - PREFIX, NULL);
    memmove(call->answer, call->answer + whole, call->length -= whole);
    if (!time_is_up()) next_message(call);
    nghttp2_session_resume_data(session, stream);
  }
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *unused) {
  struct call *call = nghttp2_session_get_stream_user_data(session, stream);
  const char *problem = error ? nghttp2_http2_strerror(error) : call->problem[0] ? call->problem : NULL;
  int complete = kind == UNARY ? call->length && whole_message(call) == call->length : call->answered == call->made;
  if (!problem && !(complete && call->ok)) problem = "an answer or its grpc-status is missing";
  if (kind == UNARY) take_answer(call, call->answer + PREFIX, call->length - PREFIX, problem);
  else if (problem) fail(problem);
  if (kind == UNARY && !time_is_up()) start_call(call);
  else open_calls--;
  return 0;
}

static void start_request(struct call *call) {
  call->length = 0;
  memcpy(call->connection->out, next_message(call)->bytes, message_size);
  call->connection->from = 0, call->connection->to = message_size;
}

static void read_response(struct call *call, const char *data, size_t length) {
  collect(call, data, length);
  char *body = memmem(call->answer, call->length, "\r\n\r\n", 4), *field;
  if (!body) return;
  *body = 0; /* so that the field is found in the head alone */
  if (!(field = strcasestr(call->answer, "\r\ncontent-length:"))) die("an answer without Content-Length");
  *body = '\r';
  size_t expected = strtoul(field + 17, NULL, 10);
  if (call->answer + call->length < body + 4 + expected) return;
  take_answer(call, body + 4, expected, strncmp(call->answer + 9, "200", 3) ? call->answer : NULL);
  if (time_is_up()) open_calls--;
  else start_request(call);
}

static void receive(struct connection *connection) {
  static char data[262144];
  ssize_t count;
  while ((count = read(connection->socket, data, sizeof data)) > 0) {
    if (kind == REST) read_response(connection->calls, data, count);
    else if ((count = nghttp2_session_mem_recv(connection->session, (uint8_t *)data, count)) < 0)
      die(nghttp2_strerror(count));
  }
  if (count == 0) die("the server closed a connection");
  if (errno != EAGAIN) die("read");
  errno = 0;
}

static void open_connection(struct connection *connection, nghttp2_session_callbacks *callbacks) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int on = 1, calls = kind == UNARY ? window : 1;
  connection->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection->socket, (struct sockaddr *)&address, sizeof address)) die("connect");
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(connection->socket, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = connection}};
  epoll_ctl(poller, EPOLL_CTL_ADD, connection->socket, &event);
  connection->out = malloc(out_bytes);
  connection->calls = calloc(calls, sizeof(struct call));
  if (kind != REST) {
    nghttp2_settings_entry room = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
    nghttp2_session_client_new(&connection->session, callbacks, NULL);
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, &room, 1);
    nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
  }
  for (struct call *call = connection->calls; call < connection->calls + calls; call++, open_calls++) {
    call->connection = connection;
    call->ring = calloc(ring_size, sizeof *call->ring);
    for (int i = 0; i < ring_size; i++) message_allocate(&call->ring[i]);
    kind == REST ? start_request(call) : start_call(call);
  }
  flush(connection);
}

int main(int count, char **arguments) {
  if (count != 12) die("KIND PORT PATH FILE CONNECTIONS WINDOW WARM_UP SECONDS LEAST MOST ECHO");
  kind = !strcmp(arguments[1], "unary") ? UNARY : !strcmp(arguments[1], "stream") ? STREAM : REST;
  port = atoi(arguments[2]), path = arguments[3];
  snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
  int connections = atoi(arguments[5]);
  window = atoi(arguments[6]), ring_size = kind == STREAM ? window : 1;
  messages_begin(arguments[4], atof(arguments[7]), atof(arguments[8]), atol(arguments[9]), atol(arguments[10]),
                 atoi(arguments[11]));
  out_bytes = message_size + 8 * FRAME_BYTES;

  nghttp2_session_callbacks *callbacks;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  poller = epoll_create1(0);
  struct connection *all = calloc(connections, sizeof *all);
  for (int i = 0; i < connections; i++) open_connection(&all[i], callbacks);
  while (open_calls) {
    struct epoll_event events[256];
    int ready = epoll_wait(poller, events, 256, STALLED_MS);
    if (ready == 0) die("no answer in 30 s");
    for (int i = 0; i < ready; i++) {
      receive(events[i].data.ptr);
      flush(events[i].data.ptr);
    }
  }
  messages_end();
}
