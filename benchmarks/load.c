/*
 * The hot loop of a load: sends frames when they are due, and notes what comes, on many WebSocket connections at once.
 *
 * Theory of operation. Python prepares a run (joining, the frames to send) and concludes it (percentiles, audits). In
 * between only this loop runs, since a load that is slower than the server would be what is measured. It knows frames
 * of RFC 6455 and nothing of what is in them: a payload that comes is looked up among those that came before, and what
 * is kept of it is one record of 16 bytes: when, on which connection, which payload. A fan-out sends the same bytes to
 * everybody, so there are few different payloads, and Python decodes each of them once, after the clock has stopped.
 *
 * One thread, epoll, no waiting: the loop polls, so that the server never pays for waking it up. How long its polls
 * came back empty is counted; where that is next to nothing, the load was as busy as it can be and says so. Where the
 * load shares a core with what is not measured, it rests in its polls (load_rest).
 *
 * Times are nanoseconds of CLOCK_MONOTONIC, the clock of Python's time.monotonic_ns. See load.py for the calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, IN_BYTES = 1 << 18, BURST = 32 };

/* A frame that is to be sent; the same layout as in load.py. */
struct due {
    uint64_t at_ns;      /* after the start of the run */
    uint64_t sent_ns;    /* the same, set when it was sent */
    uint64_t first_byte; /* where its bytes begin */
    uint32_t size;
    uint32_t connection;
};

struct record {
    uint64_t at_ns;
    uint32_t connection;
    uint32_t payload;
};

struct payload {
    uint64_t hash;
    size_t first_byte; /* in the arena */
    uint32_t size;
    uint32_t messages; /* how often the marker is in it */
    uint32_t next;     /* in its bucket, plus one */
};

struct bytes {
    uint8_t *at;
    size_t size, room;
};

struct connection {
    int socket;
    bool closed;
    struct bytes in;  /* the beginning of a frame whose end has not come */
    struct bytes out; /* what the socket did not take */
    uint64_t messages;
};

struct load {
    int epoll;
    int rest_ms;
    uint32_t count;
    struct connection *connections;
    const char *marker;
    size_t marker_size;
    struct bytes ask, answer; /* a payload that is answered with a frame: another protocol's heartbeat */

    struct record *records;
    size_t record_count, record_room;
    struct payload *payloads;
    uint32_t payload_count, payload_room;
    uint32_t *buckets; /* first payload of each, plus one */
    uint32_t bucket_count;
    struct bytes arena;

    uint32_t *delivered; /* of each message, in order: to how many connections */
    size_t delivered_room;
    uint64_t completed; /* messages that everybody has */
    uint64_t idle_ns;
    char failure[256];
    uint8_t scratch[IN_BYTES];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *grown(void *old, size_t size)
{
    void *grown = realloc(old, size);
    if (!grown) abort();
    return grown;
}

static void append(struct bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->room) {
        b->room = (b->size + size) * 2;
        b->at = grown(b->at, b->room);
    }
    memcpy(b->at + b->size, data, size);
    b->size += size;
}

static void drop(struct bytes *b, size_t size)
{
    b->size -= size;
    memmove(b->at, b->at + size, b->size);
}

static void fail(struct load *l, uint32_t number, const char *why)
{
    struct connection *c = &l->connections[number];
    if (!l->failure[0]) snprintf(l->failure, sizeof l->failure, "connection %u: %s", number, why);
    if (!c->closed) epoll_ctl(l->epoll, EPOLL_CTL_DEL, c->socket, NULL);
    c->closed = true;
}

/* ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void listen_to(struct load *l, uint32_t number, int operation)
{
    struct connection *c = &l->connections[number];
    struct epoll_event e = {.events = EPOLLIN | (c->out.size ? EPOLLOUT : 0), .data.u32 = number};
    epoll_ctl(l->epoll, operation, c->socket, &e);
}

static void send_bytes(struct load *l, uint32_t number, const uint8_t *data, size_t size)
{
    struct connection *c = &l->connections[number];
    if (c->closed) return;
    if (!c->out.size) {
        ssize_t sent = send(c->socket, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            fail(l, number, strerror(errno));
            return;
        }
        if (sent < 0) sent = 0;
        if ((size_t)sent == size) return;
        data += sent;
        size -= (size_t)sent;
    }
    append(&c->out, data, size);
    listen_to(l, number, EPOLL_CTL_MOD);
}

static void send_rest(struct load *l, uint32_t number)
{
    struct connection *c = &l->connections[number];
    ssize_t sent = send(c->socket, c->out.at, c->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        if (errno != EAGAIN) fail(l, number, strerror(errno));
        return;
    }
    drop(&c->out, (size_t)sent);
    if (!c->out.size) listen_to(l, number, EPOLL_CTL_MOD);
}

/* ── what came ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static uint64_t hashed(const uint8_t *data, size_t size)
{
    uint64_t h = size * 0x9E3779B97F4A7C15u, word;
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&word, data, 8);
        h = (h ^ word) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, data, size);
    h = (h ^ word) * 0xFF51AFD7ED558CCDu;
    return h ^ h >> 29;
}

static void more_buckets(struct load *l)
{
    l->bucket_count = l->bucket_count ? l->bucket_count * 2 : 1 << 12;
    l->buckets = grown(l->buckets, l->bucket_count * sizeof *l->buckets);
    memset(l->buckets, 0, l->bucket_count * sizeof *l->buckets);
    for (uint32_t i = 0; i < l->payload_count; i++) {
        uint32_t *bucket = &l->buckets[l->payloads[i].hash & (l->bucket_count - 1)];
        l->payloads[i].next = *bucket;
        *bucket = i + 1;
    }
}

/* The number of a payload; the same for the same bytes. */
static uint32_t number_of(struct load *l, const uint8_t *data, uint32_t size)
{
    uint64_t hash = hashed(data, size);
    if (l->payload_count >= l->bucket_count) more_buckets(l);
    for (uint32_t i = l->buckets[hash & (l->bucket_count - 1)]; i; i = l->payloads[i - 1].next) {
        struct payload *p = &l->payloads[i - 1];
        if (p->hash == hash && p->size == size && !memcmp(l->arena.at + p->first_byte, data, size)) return i - 1;
    }
    if (l->payload_count == l->payload_room) {
        l->payload_room = l->payload_room ? l->payload_room * 2 : 1 << 12;
        l->payloads = grown(l->payloads, l->payload_room * sizeof *l->payloads);
    }
    uint32_t messages = 0;
    if (l->marker_size) {
        const uint8_t *at = data, *end = data + size;
        while ((at = memmem(at, (size_t)(end - at), l->marker, l->marker_size))) {
            messages++;
            at += l->marker_size;
        }
    }
    uint32_t *bucket = &l->buckets[hash & (l->bucket_count - 1)];
    l->payloads[l->payload_count] = (struct payload){hash, l->arena.size, size, messages, *bucket};
    append(&l->arena, data, size);
    *bucket = ++l->payload_count;
    return l->payload_count - 1;
}

static void count_deliveries(struct load *l, struct connection *c, uint32_t messages)
{
    uint64_t until = c->messages + messages;
    if (until > l->delivered_room) {
        size_t before = l->delivered_room;
        l->delivered_room = until * 2 + 1024;
        l->delivered = grown(l->delivered, l->delivered_room * sizeof *l->delivered);
        memset(l->delivered + before, 0, (l->delivered_room - before) * sizeof *l->delivered);
    }
    for (; c->messages < until; c->messages++)
        if (++l->delivered[c->messages] == l->count) l->completed++;
}

static void came(struct load *l, uint32_t number, const uint8_t *data, uint32_t size, uint64_t at_ns)
{
    if (l->ask.size && size == l->ask.size && !memcmp(data, l->ask.at, size)) {
        send_bytes(l, number, l->answer.at, l->answer.size);
        return;
    }
    if (l->record_count == l->record_room) {
        l->record_room = l->record_room ? l->record_room * 2 : 1 << 16;
        l->records = grown(l->records, l->record_room * sizeof *l->records);
    }
    uint32_t payload = number_of(l, data, size);
    l->records[l->record_count++] = (struct record){at_ns, number, payload};
    if (l->payloads[payload].messages) count_deliveries(l, &l->connections[number], l->payloads[payload].messages);
}

static void pong(struct load *l, uint32_t number, const uint8_t *data, uint32_t size)
{
    uint8_t frame[6 + 125] = {0x8A, (uint8_t)(0x80 | size)}; /* masked with zeros */
    memcpy(frame + 6, data, size);
    send_bytes(l, number, frame, 6 + size);
}

/* Take whole frames; returns how many bytes they were. A server's frames are not masked, and none of ours sends parts. */
static size_t take_frames(struct load *l, uint32_t number, const uint8_t *data, size_t size, uint64_t at_ns)
{
    size_t taken = 0;
    while (size - taken >= 2 && !l->connections[number].closed) {
        const uint8_t *f = data + taken;
        size_t head = f[1] < 126 ? 2 : f[1] == 126 ? 4 : 10, length = f[1];
        if (size - taken < head) break;
        if (head > 2) {
            length = 0;
            for (size_t i = 2; i < head; i++) length = length << 8 | f[i];
        }
        if (size - taken - head < length) break;
        switch (f[0]) {
        case 0x81:
        case 0x82: came(l, number, f + head, (uint32_t)length, at_ns); break;
        case 0x89: pong(l, number, f + head, (uint32_t)length); break;
        case 0x8A: break;
        case 0x88: {
            char why[128];
            snprintf(why, sizeof why, "closed by the server, %d %.*s", length < 2 ? 0 : f[head] << 8 | f[head + 1],
                     length < 2 ? 0 : (int)length - 2, (const char *)f + head + 2);
            fail(l, number, why);
            break;
        }
        default: fail(l, number, "a frame that a load does not expect");
        }
        taken += head + length;
    }
    return taken;
}

static void take(struct load *l, uint32_t number)
{
    struct connection *c = &l->connections[number];
    ssize_t size = recv(c->socket, l->scratch, sizeof l->scratch, MSG_DONTWAIT);
    if (size <= 0) {
        if (size == 0) fail(l, number, "the server hung up");
        else if (errno != EAGAIN) fail(l, number, strerror(errno));
        return;
    }
    uint64_t at_ns = now_ns();
    if (!c->in.size) {
        size_t taken = take_frames(l, number, l->scratch, (size_t)size, at_ns);
        append(&c->in, l->scratch + taken, (size_t)size - taken);
    } else {
        append(&c->in, l->scratch, (size_t)size);
        drop(&c->in, take_frames(l, number, c->in.at, c->in.size, at_ns));
    }
}

static void turn(struct load *l)
{
    struct epoll_event events[EVENTS];
    uint64_t before_ns = now_ns();
    int ready = epoll_wait(l->epoll, events, EVENTS, l->rest_ms);
    if (ready <= 0) l->idle_ns += now_ns() - before_ns;
    for (int i = 0; i < ready; i++) {
        uint32_t number = events[i].data.u32;
        if (events[i].events & EPOLLOUT && !l->connections[number].closed) send_rest(l, number);
        if (events[i].events & ~EPOLLOUT && !l->connections[number].closed) take(l, number);
    }
}

/* ── what Python calls ───────────────────────────────────────────────────────────────────────────────────────────── */

struct load *load_new(const int *sockets, uint32_t count, const char *marker)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l) abort();
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->count = count;
    l->connections = calloc(count ? count : 1, sizeof *l->connections);
    l->marker = strdup(marker);
    l->marker_size = strlen(marker);
    for (uint32_t i = 0; i < count; i++) {
        l->connections[i].socket = sockets[i];
        listen_to(l, i, EPOLL_CTL_ADD);
    }
    return l;
}

void load_free(struct load *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        free(l->connections[i].in.at);
        free(l->connections[i].out.at);
    }
    void *parts[] = {l->connections, (void *)l->marker, l->ask.at,  l->answer.at,
                     l->records,     l->payloads,       l->buckets, l->arena.at, l->delivered};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) free(parts[i]);
    close(l->epoll);
    free(l);
}

/* What had come before the load listened. */
void load_feed(struct load *l, uint32_t number, const uint8_t *data, size_t size)
{
    append(&l->connections[number].in, data, size);
    drop(&l->connections[number].in, take_frames(l, number, l->connections[number].in.at,
                                                 l->connections[number].in.size, now_ns()));
}

/* Answer a payload with a frame from now on, and note it no more. */
void load_answer(struct load *l, const uint8_t *ask, size_t ask_size, const uint8_t *answer, size_t answer_size)
{
    append(&l->ask, ask, ask_size);
    append(&l->answer, answer, answer_size);
}

/* Rest up to so many milliseconds where nothing comes. */
void load_rest(struct load *l, int ms) { l->rest_ms = ms; }

/* Count messages from here; they are counted by connection and have to come to each in the same order. */
void load_restart(struct load *l)
{
    for (uint32_t i = 0; i < l->count; i++) l->connections[i].messages = 0;
    if (l->delivered) memset(l->delivered, 0, l->delivered_room * sizeof *l->delivered);
    l->record_count = 0;
    l->completed = l->idle_ns = 0;
}

/*
 * Send frames at their times (window 0), or as soon as fewer than `window` messages are on their way to somebody.
 * Ends when all are sent, when something failed, or after `max_ns`. Returns how many were sent.
 */
size_t load_run(struct load *l, struct due *due, size_t count, const uint8_t *bytes, uint64_t window, uint64_t start_ns,
                uint64_t max_ns)
{
    size_t sent = 0;
    uint64_t completed_before = l->completed;
    while (sent < count && !l->failure[0]) {
        uint64_t t = now_ns() - start_ns;
        if ((int64_t)t > 0 && t > max_ns) break;
        /* At most so many in a row: what has come is looked at in time, also where the load has fallen behind. */
        for (int i = 0; i < BURST && sent < count; i++) {
            struct due *d = &due[sent];
            if (window ? sent - (l->completed - completed_before) >= window : (int64_t)(t - d->at_ns) < 0) break;
            if (window) d->at_ns = now_ns() - start_ns;
            send_bytes(l, d->connection, bytes + d->first_byte, d->size);
            d->sent_ns = now_ns() - start_ns;
            sent++;
        }
        turn(l);
    }
    return sent;
}

/* Take what comes, for so long. */
void load_listen(struct load *l, uint64_t ns)
{
    uint64_t end_ns = now_ns() + ns;
    do turn(l);
    while (now_ns() < end_ns && !l->failure[0]);
}

const struct record *load_records(struct load *l, size_t *count)
{
    *count = l->record_count;
    return l->records;
}

const uint8_t *load_payload(struct load *l, uint32_t number, uint32_t *size)
{
    *size = l->payloads[number].size;
    return l->arena.at + l->payloads[number].first_byte;
}

uint32_t load_payload_count(struct load *l) { return l->payload_count; }
uint64_t load_completed(struct load *l) { return l->completed; }
uint64_t load_idle_ns(struct load *l) { return l->idle_ns; }
const char *load_failure(struct load *l) { return l->failure; }
