/* Reads all sockets in a thread of its own, and keeps what came and when: the hot path of `loadgen.receiver`, for Linux.
   A second thread sends what is to leave at a certain time: no request waits for Python code then.

   A token costs a client one read, and a read in Python touches some thirty objects of its connection, which other
   connections have pushed out of the caches since. Here it touches a struct, the end of a buffer and the end of a table,
   and no read waits for Python code. What the fields and methods mean is said in `_receiver.pyi`.

   The threads never run Python code. `lock` guards what they share with Python's threads: the fields of a record that are
   said to be shared, the places of the records, the list of those that are due, and the signs of life. The thread that reads
   holds it for a round of reads. `sending` guards what is to be sent, and is held while something is; it is taken before
   `lock`. Whoever holds one must not run Python code. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "_read.h"

#define MOST_AT_ONCE 1024
#define SPILL_BYTES 65536  /* of one read, beyond the room that its record has */
#define LEAST_ROOM 1024
#define MOST_KEPT (1 << 20) /* of a record's memory, from one answer to the next */
#define DENSE_NS 16000000 /* of wakes without a pause, before those are signs enough: a timer for each costs more than a read */
#define REST_NS 500000   /* after a round of reads: most of what a token costs is the sleep and the wake around it */
#define NEAR_NS 1000000  /* from round to round: where they are farther apart a rest saves nothing */
#define CLOSE_NS 2000000 /* what follows this closely on the same socket is not rested for: it would be read in one piece */
#define SLICE_NS 100000   /* the shortest that Linux gives */
#define STOP UINT64_MAX /* what epoll says of `halt` */

typedef struct Record {
    PyObject_HEAD
    PyObject *look; /* null once the record is removed */
    int fd;
    /* shared: */
    int error;
    char streaming, ended, is_due;
    struct Record *next_due;
    char *bytes;
    size_t size, room;
    Read *reads;
    size_t count, capacity;
    /* for sending: */
    char is_to_send, alone;     /* alone: only if nothing has come */
    struct Record *next_to_send;
    PyObject *request;          /* bytes; owned, and let go of by Python's threads only */
    int64_t send_at, sent_at;   /* sent_at: 0 until it is sent */
    size_t sent;
    int send_error;
} Record;

typedef struct {
    Record *record;      /* owned; null where the descriptor is not read */
    uint32_t generation; /* of those that had this descriptor: epoll may still tell of one that is gone */
} Place;

typedef struct {
    PyObject_HEAD
    int epoll, bell, halt; /* the bell rings when records are due */
    int has_reader, has_sender;
    pthread_t reader, sender;
    int64_t beat_ns, calm_ns; /* between two signs of life: it wakes after the first, and is calm up to the second */
    /* shared: */
    Place *places; /* by descriptor */
    size_t place_count;
    Record *first_due, **last_due;
    int64_t calm, last_sign;
    int64_t *stalls; /* begin and end, by turns, since they were last asked for */
    size_t stall_count, stall_capacity;
    int may_rest; /* in this round: the one before was near, all reads have a stamp, and none follows closely on its socket */
    char spill[SPILL_BYTES];
    /* for sending: */
    Record *first_to_send; /* by time */
    int sends_no_more;
    pthread_cond_t is_earlier; /* the first to send, than it was; or there is nothing more */
    /* the thread's that reads: */
    struct epoll_event events[MOST_AT_ONCE];
} Receiver;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;
static PyTypeObject *record_type;

/* -- reading, with the lock held */

static int64_t nanoseconds(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return nanoseconds(now);
}

static int make_room(Record *record, size_t room)
{
    if (record->room < room) {
        size_t wanted = record->room ? record->room : 4096;
        while (wanted < room)
            wanted *= 2;
        char *bytes = realloc(record->bytes, wanted);
        if (!bytes)
            return -1;
        record->bytes = bytes;
        record->room = wanted;
    }
    if (record->count == record->capacity) {
        size_t wanted = record->capacity ? 2 * record->capacity : 64;
        Read *reads = realloc(record->reads, wanted * sizeof(Read));
        if (!reads)
            return -1;
        record->reads = reads;
        record->capacity = wanted;
    }
    return 0;
}

/* Whether the response may be complete with the last `got` bytes: they end in CRLFCRLF, or are too few to tell. */
static int may_end(const Record *record, size_t got)
{
    return got < 4 || !memcmp(record->bytes + record->size - 4, "\r\n\r\n", 4);
}

/* One read. Whether somebody should look at the record. */
static int receive(Receiver *self, Record *record)
{
    union {
        char bytes[CMSG_SPACE(3 * sizeof(struct timespec))];
        struct cmsghdr alignment;
    } control;
    struct timespec stamp = {0, 0};
    if (make_room(record, record->size + LEAST_ROOM) < 0) {
        record->error = ENOMEM;
        return 1;
    }
    size_t room = record->room - record->size;
    struct iovec pieces[2] = {{record->bytes + record->size, room}, {self->spill, SPILL_BYTES}};
    struct msghdr message = {
        .msg_iov = pieces, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    do
        got = recvmsg(record->fd, &message, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        record->ended = got == 0;
        record->error = got < 0 ? errno : 0;
        return 1;
    }
    int64_t read_at = now_ns();
    for (struct cmsghdr *said = CMSG_FIRSTHDR(&message); said; said = CMSG_NXTHDR(&message, said))
        if (said->cmsg_level == SOL_SOCKET && said->cmsg_type == SO_TIMESTAMPING)
            memcpy(&stamp, CMSG_DATA(said), sizeof(stamp)); /* the first of three is the software's */
    if ((size_t)got > room) {
        if (make_room(record, record->size + got) < 0) {
            record->error = ENOMEM;
            return 1;
        }
        memcpy(record->bytes + record->size + room, self->spill, got - room);
    }
    if (!stamp.tv_sec || (record->count && read_at - record->reads[record->count - 1].read_at < CLOSE_NS))
        self->may_rest = 0;
    record->size += got;
    record->reads[record->count++] = (Read){record->size, read_at, nanoseconds(stamp)};
    return !record->streaming || may_end(record, got);
}

static uint64_t name_of(const Receiver *self, int fd) { return (uint64_t)self->places[fd].generation << 32 | (uint32_t)fd; }

static Record *named(const Receiver *self, uint64_t name)
{
    size_t fd = (uint32_t)name;
    return fd < self->place_count && name_of(self, fd) == name ? self->places[fd].record : NULL;
}

static int is_read(const Receiver *self, const Record *record)
{
    return (size_t)record->fd < self->place_count && self->places[record->fd].record == record;
}

/* All that had come until `now` has been read, or is read next. Signs that follow each other closely are calm; after a
   stall it is calm again with the next sign in time, since the reads until then hold what waited. */
static void live(Receiver *self, int64_t now)
{
    if (now - self->last_sign <= self->calm_ns) {
        if (self->calm != self->last_sign) {
            if (self->stall_count + 2 > self->stall_capacity) {
                size_t wanted = self->stall_capacity ? 2 * self->stall_capacity : 64;
                int64_t *stalls = realloc(self->stalls, wanted * sizeof(int64_t));
                if (stalls) {
                    self->stalls = stalls;
                    self->stall_capacity = wanted;
                }
            }
            if (self->stall_count + 2 <= self->stall_capacity) {
                self->stalls[self->stall_count++] = self->calm;
                self->stalls[self->stall_count++] = now;
            }
        }
        self->calm = now;
    }
    self->last_sign = now;
}

/* -- the thread that reads */

/* With the lock held. */
static void ask_for_a_look(Receiver *self, Record *record, int *rings)
{
    if (record->ended || record->error)
        epoll_ctl(self->epoll, EPOLL_CTL_DEL, record->fd, NULL); /* or it would be told of again and again */
    if (!record->is_due) {
        *rings |= !self->first_due;
        record->is_due = 1;
        *self->last_due = record;
        self->last_due = &record->next_due;
    }
}

static void read_one(Receiver *self, uint64_t name, int *rings)
{
    Record *record = named(self, name);
    if (record && receive(self, record))
        ask_for_a_look(self, record, rings);
}

static void *read_all(void *receiver)
{
    Receiver *self = receiver;
    int64_t now = now_ns(), before, paused = now, rested = 0, read_last = 0;
    int beat_ms = self->beat_ns / 1000000;
    for (;;) {
        int is_dense = now - paused > DENSE_NS;
        int ready = epoll_wait(self->epoll, self->events, MOST_AT_ONCE, is_dense ? -1 : beat_ms), rings = 0;
        if (ready < 0 && errno != EINTR)
            return NULL;
        before = now;
        now = now_ns();
        if (ready <= 0 || now - before > self->calm_ns)
            paused = now;
        int is_over = 0;
        pthread_mutex_lock(&lock);
        self->may_rest = 0 < ready && ready < MOST_AT_ONCE && now - read_last < NEAR_NS;
        if (rested)
            live(self, rested);
        if (ready < MOST_AT_ONCE)
            live(self, now);
        for (int i = 0; i < ready; i++) {
            if (self->events[i].data.u64 == STOP)
                is_over = 1;
            else
                read_one(self, self->events[i].data.u64, &rings);
        }
        int may_rest = self->may_rest;
        pthread_mutex_unlock(&lock);
        if (is_over)
            return NULL;
        if (ready > 0)
            read_last = now;
        if (rings)
            eventfd_write(self->bell, 1);
        rested = 0;
        if (may_rest) {
            nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
            rested = now_ns();
        }
    }
}

/* -- the thread that sends; all of this with `sending` held */

static void will_send(Receiver *self, Record *record)
{
    Record **link = &self->first_to_send;
    while (*link && (*link)->send_at <= record->send_at)
        link = &(*link)->next_to_send;
    record->next_to_send = *link;
    *link = record;
    record->is_to_send = 1;
    if (self->first_to_send == record)
        pthread_cond_signal(&self->is_earlier);
}

static void will_not_send(Receiver *self, Record *record)
{
    if (!record->is_to_send)
        return;
    Record **link = &self->first_to_send;
    while (*link != record)
        link = &(*link)->next_to_send;
    *link = record->next_to_send;
    record->next_to_send = NULL;
    record->is_to_send = 0;
}

/* Sends the first, unless its connection has ended or something has come that nobody asked for. What the socket does not
   take is left to whoever looks. */
static void send_first(Receiver *self)
{
    Record *record = self->first_to_send;
    int rings = 0;
    will_not_send(self, record);
    pthread_mutex_lock(&lock);
    receive(self, record);
    int has_come = record->ended || record->error || (record->alone && record->count);
    pthread_mutex_unlock(&lock);
    if (!has_come) {
        record->sent_at = now_ns();
        ssize_t sent = send(record->fd, PyBytes_AS_STRING(record->request), PyBytes_GET_SIZE(record->request),
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            record->sent = sent;
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            record->send_error = errno;
    }
    pthread_mutex_lock(&lock);
    ask_for_a_look(self, record, &rings);
    pthread_mutex_unlock(&lock);
    if (rings)
        eventfd_write(self->bell, 1);
}

static void *send_all(void *receiver)
{
    Receiver *self = receiver;
    pthread_mutex_lock(&sending);
    while (!self->sends_no_more) {
        Record *first = self->first_to_send;
        if (!first)
            pthread_cond_wait(&self->is_earlier, &sending);
        else if (first->send_at > now_ns()) {
            struct timespec when = {.tv_sec = first->send_at / 1000000000, .tv_nsec = first->send_at % 1000000000};
            pthread_cond_timedwait(&self->is_earlier, &sending, &when);
        } else
            send_first(self);
    }
    pthread_mutex_unlock(&sending);
    return NULL;
}

static int start(Receiver *self, pthread_t *thread, void *(*work)(void *), int *has_started)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for Python's main thread */
    int error = pthread_create(thread, NULL, work, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *has_started = !error;
    return error;
}

/* -- Record */

static void forget(Record *record)
{
    free(record->bytes);
    free(record->reads);
    record->bytes = NULL;
    record->reads = NULL;
    record->size = record->room = record->count = record->capacity = 0;
}

static PyObject *record_wire(Record *self, PyObject *arguments)
{
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(arguments, "nn", &first, &last))
        return NULL;
    pthread_mutex_lock(&lock);
    size_t count = self->count;
    PyObject *wire = NULL;
    if (first >= 0 && first <= last && (size_t)last <= count) {
        size_t from = first ? self->reads[first - 1].end : 0, to = last ? self->reads[last - 1].end : 0;
        wire = PyBytes_FromStringAndSize(self->bytes + from, to - from);
    }
    pthread_mutex_unlock(&lock);
    if (!wire && !PyErr_Occurred())
        PyErr_Format(PyExc_IndexError, "reads %zd to %zd of %zu", first, last, count);
    return wire;
}

static PyObject *record_take(Record *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *request = NULL;
    pthread_mutex_lock(&sending);
    if (!self->is_to_send) {
        request = self->request;
        self->request = NULL;
    }
    pthread_mutex_unlock(&sending);
    Py_XDECREF(request);
    pthread_mutex_lock(&lock);
    PyObject *wire = PyBytes_FromStringAndSize(self->bytes, self->size);
    PyObject *table = PyBytes_FromStringAndSize((char *)self->reads, self->count * sizeof(Read));
    if (wire && table) {
        if (self->room > MOST_KEPT)
            forget(self);
        self->size = self->count = 0;
        self->streaming = 0;
    }
    pthread_mutex_unlock(&lock);
    PyObject *taken = wire && table ? PyTuple_Pack(2, wire, table) : NULL;
    Py_XDECREF(wire);
    Py_XDECREF(table);
    return taken;
}

static Py_ssize_t record_length(Record *self)
{
    pthread_mutex_lock(&lock);
    Py_ssize_t count = self->count;
    pthread_mutex_unlock(&lock);
    return count;
}

static PyObject *record_streaming(Record *self, void *Py_UNUSED(closure))
{
    pthread_mutex_lock(&lock);
    int streaming = self->streaming;
    pthread_mutex_unlock(&lock);
    return PyBool_FromLong(streaming);
}

static int record_stream(Record *self, PyObject *value, void *Py_UNUSED(closure))
{
    int streaming = value ? PyObject_IsTrue(value) : 0;
    if (streaming < 0)
        return -1;
    pthread_mutex_lock(&lock);
    self->streaming = streaming;
    pthread_mutex_unlock(&lock);
    return 0;
}

static PyObject *record_ended(Record *self, void *Py_UNUSED(closure))
{
    pthread_mutex_lock(&lock);
    int ended = self->ended;
    pthread_mutex_unlock(&lock);
    return PyBool_FromLong(ended);
}

static PyObject *record_error(Record *self, void *Py_UNUSED(closure))
{
    pthread_mutex_lock(&lock);
    int error = self->error;
    pthread_mutex_unlock(&lock);
    return PyLong_FromLong(error);
}

static int record_traverse(Record *self, visitproc visit, void *arg)
{
    Py_VISIT(self->look);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int record_forget_look(Record *self)
{
    Py_CLEAR(self->look);
    return 0;
}

static PyObject *record_sent(Record *self, void *Py_UNUSED(closure))
{
    pthread_mutex_lock(&sending);
    int64_t at = self->sent_at;
    size_t sent = self->sent;
    int error = self->send_error;
    pthread_mutex_unlock(&sending);
    return Py_BuildValue("Lni", (long long)at, (Py_ssize_t)sent, error);
}

static void record_dealloc(Record *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->look);
    Py_CLEAR(self->request);
    forget(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef record_methods[] = {
    {"wire", (PyCFunction)record_wire, METH_VARARGS, NULL},
    {"take", (PyCFunction)record_take, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef record_fields[] = {
    {"streaming", (getter)record_streaming, (setter)record_stream, NULL, NULL},
    {"ended", (getter)record_ended, NULL, NULL, NULL},
    {"error", (getter)record_error, NULL, NULL, NULL},
    {"sent", (getter)record_sent, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot record_slots[] = {
    {Py_tp_methods, record_methods}, {Py_tp_getset, record_fields}, {Py_sq_length, record_length},
    {Py_tp_traverse, record_traverse}, {Py_tp_clear, record_forget_look}, {Py_tp_dealloc, record_dealloc},
    {0, NULL},
};

static PyType_Spec record_spec = {
    .name = "loadgen._receiver.Record", .basicsize = sizeof(Record), .slots = record_slots,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* -- Receiver */

/* Asks that this thread, and those that it starts, get the processor for moments, and soon: else what woke would wait
   until a busy neighbour has had its turn, some 3 ms. Linux before 6.12 knows no such wish, and nothing changes there. */
static void ask_for_short_turns(void)
{
    struct { /* sched_setattr(2) */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wish = {.size = sizeof(wish)};
    if (!syscall(SYS_sched_getattr, 0, &wish, sizeof(wish), 0) && wish.policy == SCHED_OTHER) {
        wish.runtime = SLICE_NS;
        syscall(SYS_sched_setattr, 0, &wish, 0);
    }
}

static PyObject *receiver_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"", "", NULL};
    long long beat_ns, late_ns;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "LL", names, &beat_ns, &late_ns))
        return NULL;
    Receiver *self = (Receiver *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->last_due = &self->first_due;
    self->beat_ns = beat_ns;
    self->calm_ns = beat_ns + late_ns;
    self->calm = self->last_sign = now_ns();
    ask_for_short_turns();
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->halt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_condattr_t by_clock;
    pthread_condattr_init(&by_clock);
    pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&self->is_earlier, &by_clock);
    pthread_condattr_destroy(&by_clock);
    struct epoll_event halts = {.events = EPOLLIN, .data.u64 = STOP};
    int error = 0;
    if (self->epoll < 0 || self->bell < 0 || self->halt < 0 ||
        epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->halt, &halts) < 0)
        error = errno;
    else
        error = start(self, &self->reader, read_all, &self->has_reader);
    if (error) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *receiver_fileno(Receiver *self, PyObject *Py_UNUSED(ignored)) { return PyLong_FromLong(self->bell); }

static int make_place(Receiver *self, size_t fd)
{
    if (fd < self->place_count)
        return 0;
    size_t wanted = self->place_count ? self->place_count : 64;
    while (wanted <= fd)
        wanted *= 2;
    Place *places = realloc(self->places, wanted * sizeof(Place));
    if (!places)
        return -1;
    memset(places + self->place_count, 0, (wanted - self->place_count) * sizeof(Place));
    self->places = places;
    self->place_count = wanted;
    return 0;
}

static PyObject *receiver_add(Receiver *self, PyObject *arguments)
{
    int fd;
    PyObject *look;
    if (!PyArg_ParseTuple(arguments, "iO", &fd, &look))
        return NULL;
    if (fd < 0 || !self->has_reader) {
        PyErr_SetString(PyExc_ValueError, fd < 0 ? "the socket is closed" : "the receiver is closed");
        return NULL;
    }
    Record *record = (Record *)record_type->tp_alloc(record_type, 0);
    if (!record)
        return NULL;
    record->fd = fd;
    record->look = Py_NewRef(look);
    int error = 0;
    pthread_mutex_lock(&lock);
    if (make_place(self, fd) < 0)
        error = ENOMEM;
    else if (self->places[fd].record)
        error = EEXIST;
    else {
        Place *place = self->places + fd;
        place->generation++;
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = name_of(self, fd)};
        if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            error = errno;
        else
            place->record = (Record *)Py_NewRef((PyObject *)record);
    }
    pthread_mutex_unlock(&lock);
    if (error) {
        Py_DECREF(record);
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return (PyObject *)record;
}

/* Takes it from its place, from those that are due and from those that are to send; whether it had a place. Both locks
   are held, and the place's reference is the caller's. */
static int displace(Receiver *self, Record *record)
{
    if (!is_read(self, record))
        return 0;
    self->places[record->fd].record = NULL;
    will_not_send(self, record);
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, record->fd, NULL); /* gone already if it has ended or is closed */
    if (record->is_due) {
        Record **link = &self->first_due;
        while (*link != record)
            link = &(*link)->next_due;
        *link = record->next_due;
        if (self->last_due == &record->next_due)
            self->last_due = link;
        record->is_due = 0;
        record->next_due = NULL;
    }
    return 1;
}

static Record *record_of(PyObject *argument)
{
    if (Py_TYPE(argument) == record_type)
        return (Record *)argument;
    PyErr_SetString(PyExc_TypeError, "not a record of a receiver");
    return NULL;
}

static PyObject *receiver_remove(Receiver *self, PyObject *argument)
{
    Record *record = record_of(argument);
    if (!record)
        return NULL;
    pthread_mutex_lock(&sending);
    pthread_mutex_lock(&lock);
    int had_place = displace(self, record);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&sending);
    if (had_place) {
        Py_CLEAR(record->look);
        Py_DECREF(record);
    }
    Py_RETURN_NONE;
}

static PyObject *receiver_read(Receiver *self, PyObject *argument)
{
    Record *record = record_of(argument);
    if (!record)
        return NULL;
    pthread_mutex_lock(&lock);
    int look = is_read(self, record) ? receive(self, record) : -1;
    pthread_mutex_unlock(&lock);
    if (look < 0) {
        PyErr_SetString(PyExc_ValueError, "not a record of this receiver, or removed");
        return NULL;
    }
    return PyBool_FromLong(look);
}

static PyObject *receiver_send_at(Receiver *self, PyObject *arguments)
{
    PyObject *argument, *request;
    long long at_ns;
    int alone;
    if (!PyArg_ParseTuple(arguments, "OSLp", &argument, &request, &at_ns, &alone))
        return NULL;
    Record *record = record_of(argument);
    if (!record)
        return NULL;
    int error = self->has_sender ? 0 : start(self, &self->sender, send_all, &self->has_sender);
    if (error) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    PyObject *before = NULL;
    pthread_mutex_lock(&sending);
    int can_send = is_read(self, record) && !record->is_to_send;
    if (can_send) {
        before = record->request;
        record->request = Py_NewRef(request);
        record->send_at = at_ns;
        record->alone = alone;
        record->sent_at = record->sent = record->send_error = 0;
        will_send(self, record);
    }
    pthread_mutex_unlock(&sending);
    Py_XDECREF(before);
    if (!can_send) {
        PyErr_SetString(PyExc_ValueError, "not a record of this receiver, or removed, or it has a request to send");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *receiver_due(Receiver *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *looks = PyList_New(0);
    eventfd_t rung;
    eventfd_read(self->bell, &rung);
    while (looks) {
        pthread_mutex_lock(&lock);
        Record *record = self->first_due;
        if (record) {
            self->first_due = record->next_due;
            if (!self->first_due)
                self->last_due = &self->first_due;
            record->is_due = 0;
            record->next_due = NULL;
        }
        pthread_mutex_unlock(&lock);
        if (!record)
            break;
        if (PyList_Append(looks, record->look) < 0)
            Py_CLEAR(looks);
    }
    return looks;
}

static PyObject *receiver_signs(Receiver *self, PyObject *Py_UNUSED(ignored))
{
    pthread_mutex_lock(&lock);
    int64_t calm = self->calm;
    PyObject *stalls = PyBytes_FromStringAndSize((char *)self->stalls, self->stall_count * sizeof(int64_t));
    if (stalls)
        self->stall_count = 0;
    pthread_mutex_unlock(&lock);
    return stalls ? Py_BuildValue("LN", (long long)calm, stalls) : NULL;
}

/* The threads wait for nothing that Python's threads hold for long, so that they can be waited for. */
static void halt(Receiver *self)
{
    if (self->has_sender) {
        pthread_mutex_lock(&sending);
        self->sends_no_more = 1;
        pthread_cond_signal(&self->is_earlier);
        pthread_mutex_unlock(&sending);
        pthread_join(self->sender, NULL);
        self->has_sender = 0;
    }
    if (self->has_reader) {
        eventfd_write(self->halt, 1);
        pthread_join(self->reader, NULL);
        self->has_reader = 0;
    }
    int *descriptors[] = {&self->epoll, &self->bell, &self->halt};
    for (int i = 0; i < 3; i++) {
        if (*descriptors[i] >= 0)
            close(*descriptors[i]);
        *descriptors[i] = -1;
    }
}

static int receiver_forget(Receiver *self)
{
    halt(self);
    for (size_t fd = 0; fd < self->place_count; fd++) {
        Record *record = self->places[fd].record;
        if (record) {
            displace(self, record);
            Py_CLEAR(record->look);
            Py_DECREF(record);
        }
    }
    return 0;
}

static PyObject *receiver_close(Receiver *self, PyObject *Py_UNUSED(ignored))
{
    receiver_forget(self);
    Py_RETURN_NONE;
}

static int receiver_traverse(Receiver *self, visitproc visit, void *arg)
{
    for (size_t fd = 0; fd < self->place_count; fd++)
        Py_VISIT(self->places[fd].record);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void receiver_dealloc(Receiver *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    receiver_forget(self);
    pthread_cond_destroy(&self->is_earlier);
    free(self->places);
    free(self->stalls);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef receiver_methods[] = {
    {"fileno", (PyCFunction)receiver_fileno, METH_NOARGS, NULL},
    {"add", (PyCFunction)receiver_add, METH_VARARGS, NULL},
    {"remove", (PyCFunction)receiver_remove, METH_O, NULL},
    {"read", (PyCFunction)receiver_read, METH_O, NULL},
    {"send_at", (PyCFunction)receiver_send_at, METH_VARARGS, NULL},
    {"due", (PyCFunction)receiver_due, METH_NOARGS, NULL},
    {"signs", (PyCFunction)receiver_signs, METH_NOARGS, NULL},
    {"close", (PyCFunction)receiver_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot receiver_slots[] = {
    {Py_tp_new, receiver_new}, {Py_tp_methods, receiver_methods}, {Py_tp_traverse, receiver_traverse},
    {Py_tp_clear, receiver_forget}, {Py_tp_dealloc, receiver_dealloc}, {0, NULL},
};

static PyType_Spec receiver_spec = {
    .name = "loadgen._receiver.Receiver", .basicsize = sizeof(Receiver), .slots = receiver_slots,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
};

/* -- module */

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "loadgen._receiver", .m_size = -1};

PyMODINIT_FUNC PyInit__receiver(void)
{
    PyObject *module = PyModule_Create(&definition), *receiver_type = NULL;
    record_type = (PyTypeObject *)PyType_FromSpec(&record_spec);
    receiver_type = PyType_FromSpec(&receiver_spec);
    if (module && record_type && receiver_type && !PyModule_AddObjectRef(module, "Record", (PyObject *)record_type) &&
        !PyModule_AddObjectRef(module, "Receiver", receiver_type)) {
        Py_DECREF(receiver_type);
        return module;
    }
    Py_XDECREF(receiver_type);
    Py_XDECREF(module);
    return NULL;
}
