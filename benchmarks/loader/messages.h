/* What is sent and what becomes of it; how it travels is no matter here. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct message {
  char *bytes; /* message_size of them */
  char id[17];
  uint64_t began;
};

extern size_t message_size;

/* Reads a template and its mask, sets which answers are good, and starts the clock. */
void messages_begin(const char *file, double warm_up, double seconds, size_t least, size_t most, int echo);
void message_allocate(struct message *message);

/* Gives the message an id and numbers that none had before. */
void message_renew(struct message *message);

/* Judges the answer to a message; problem is NULL where its status was good. */
void message_answered(const struct message *message, const char *answer, size_t length, const char *problem);

/* Counts a failure that belongs to no message. */
void fail(const char *why);

/* Whether the time is up: then nothing more is sent. */
int time_is_up(void);

/* Prints what was measured, as JSON. */
void messages_end(void);

/* Ends the program: no figures rather than wrong ones. */
_Noreturn void die(const char *what);
