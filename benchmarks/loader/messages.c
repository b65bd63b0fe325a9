#define _GNU_SOURCE
#include "messages.h"

#include <errno.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_DIGITS = sizeof((struct message *)0)->id - 1 };

size_t message_size;
static char *template, reason[256];
static size_t id_at, *digits, digit_count, *floats, float_count;
static uint64_t next_id, random_state;

static size_t least_bytes, most_bytes;
static int id_is_echoed;
static uint64_t begin, end, good, failed;
static uint32_t *latencies; /* in microseconds */
static size_t latency_count, latency_room;

void die(const char *what) {
  fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  exit(1);
}

static uint64_t microseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

int time_is_up(void) { return microseconds(CLOCK_MONOTONIC) >= end; }

static void read_template(const char *name) {
  FILE *file = fopen(name, "rb");
  if (!file || fseek(file, 0, SEEK_END)) die(name);
  message_size = ftell(file) / 2;
  rewind(file);
  template = malloc(2 * message_size);
  digits = malloc(message_size * sizeof *digits);
  floats = malloc(message_size * sizeof *floats);
  if (fread(template, 1, 2 * message_size, file) != 2 * message_size) die(name);
  fclose(file);
  const char *mask = template + message_size;
  for (size_t i = 0; i < message_size; i++) {
    if (mask[i] == 'd') digits[digit_count++] = i;
    if (mask[i] == 'f') floats[float_count++] = i, i += sizeof(float) - 1;
    if (mask[i] == '#' && !id_at) id_at = i;
  }
}

static void stop(int signal) { end = microseconds(CLOCK_MONOTONIC); }

void messages_begin(const char *file, double warm_up, double seconds, size_t least, size_t most, int echo) {
  read_template(file);
  least_bytes = least, most_bytes = most, id_is_echoed = echo;
  next_id = random_state = microseconds(CLOCK_REALTIME); /* no other run has these ids and numbers either */
  begin = microseconds(CLOCK_MONOTONIC) + warm_up * 1e6;
  end = begin + seconds * 1e6;
  signal(SIGTERM, stop); /* it has seen enough */
}

void message_allocate(struct message *message) {
  message->bytes = malloc(message_size);
  memcpy(message->bytes, template, message_size);
}

static uint64_t random_bits(void) { /* xorshift64 */
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}

void message_renew(struct message *message) {
  snprintf(message->id, sizeof message->id, "%0*llu", ID_DIGITS, (unsigned long long)next_id++);
  if (id_at) memcpy(message->bytes + id_at, message->id, ID_DIGITS);
  uint64_t fraction = 0; /* of 2^32; its decimal digits, eight of each */
  for (size_t i = 0; i < digit_count; i++) {
    fraction = (i % 8 ? fraction & UINT32_MAX : random_bits() >> 32) * 10;
    message->bytes[digits[i]] = '0' + (fraction >> 32);
  }
  for (size_t i = 0; i < float_count; i++) {
    float number = (float)(random_bits() >> 40) / (1 << 24);
    memcpy(message->bytes + floats[i], &number, sizeof number);
  }
  message->began = microseconds(CLOCK_MONOTONIC);
}

void fail(const char *why) {
  if (!failed++) snprintf(reason, sizeof reason, "%s", why);
}

void message_answered(const struct message *message, const char *answer, size_t length, const char *problem) {
  uint64_t now = microseconds(CLOCK_MONOTONIC);
  if (!problem && (length < least_bytes || length > most_bytes)) problem = "an answer of the wrong size";
  if (!problem && id_is_echoed && !memmem(answer, length, message->id, ID_DIGITS)) problem = "an answer to another id";
  if (problem) {
    fail(problem);
    return;
  }
  good++;
  if (now < begin || now >= end) return;
  if (latency_count == latency_room) {
    latencies = realloc(latencies, (latency_room += 1 << 20) * sizeof *latencies);
    if (!latencies) die("no memory");
  }
  latencies[latency_count++] = now - message->began;
}

static int ascending(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return (a > b) - (a < b);
}

static double percentile(int percent) {
  return latency_count ? latencies[(latency_count - 1) * percent / 100] / 1000.0 : 0;
}

void messages_end(void) {
  qsort(latencies, latency_count, sizeof *latencies, ascending);
  for (char *c = reason; *c; c++)
    if (*c == '"' || *c == '\\' || *c < ' ') *c = ' ';
  printf("{\"rate\": %f, \"p50\": %f, \"p99\": %f, \"worst\": %f, \"good\": %ju, \"failed\": %ju, \"reason\": \"%s\"}\n",
         latency_count * 1e6 / (end - begin), percentile(50), percentile(99), percentile(100), good, failed, reason);
}
