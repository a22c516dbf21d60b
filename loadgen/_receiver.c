/* Reads all sockets that have something, and keeps what came and when: the hot path of `loadgen.receiver`, for Linux.

   A token costs a client one read, and a read in Python touches some thirty objects of its connection, which other
   connections have pushed out of the caches since. Here it touches a struct, the end of a buffer and the end of a table.
   What the fields and methods mean is said in `_receiver.pyi`. No Python code runs between two reads. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST_AT_ONCE 1024
#define SPILL_BYTES 65536  /* of one read, beyond the room that its record has */
#define LEAST_ROOM 1024
#define MOST_KEPT (1 << 20) /* of a record's memory, from one answer to the next */

typedef struct {
    int64_t end, read_at, received;
} Read;

typedef struct {
    PyObject_HEAD
    PyObject *look; /* null once the record is removed */
    int fd;
    int error;
    char streaming, ended;
    char *bytes;
    size_t size, room;
    Read *reads;
    size_t count, capacity;
} Record;

typedef struct {
    PyObject_HEAD
    PyObject *records; /* a set: epoll holds pointers to them */
    int epoll;
    char caught_up;
    struct epoll_event events[MOST_AT_ONCE];
    char spill[SPILL_BYTES];
} Receiver;

static PyTypeObject *record_type;

/* -- reading */

static int64_t nanoseconds(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

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

/* One read. Whether somebody should look at the record; -1 without memory. */
static int receive(Receiver *self, Record *record)
{
    union {
        char bytes[CMSG_SPACE(3 * sizeof(struct timespec))];
        struct cmsghdr alignment;
    } control;
    struct timespec stamp = {0, 0}, now;
    if (make_room(record, record->size + LEAST_ROOM) < 0)
        return -1;
    size_t room = record->room - record->size;
    struct iovec places[2] = {{record->bytes + record->size, room}, {self->spill, SPILL_BYTES}};
    struct msghdr message = {
        .msg_iov = places, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    do
        got = recvmsg(record->fd, &message, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        if (got == 0)
            record->ended = 1;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else
            record->error = errno;
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (struct cmsghdr *said = CMSG_FIRSTHDR(&message); said; said = CMSG_NXTHDR(&message, said))
        if (said->cmsg_level == SOL_SOCKET && said->cmsg_type == SO_TIMESTAMPING)
            memcpy(&stamp, CMSG_DATA(said), sizeof(stamp)); /* the first of three is the software's */
    if ((size_t)got > room) {
        if (make_room(record, record->size + got) < 0)
            return -1;
        memcpy(record->bytes + record->size + room, self->spill, got - room);
    }
    record->size += got;
    record->reads[record->count++] = (Read){record->size, nanoseconds(now), nanoseconds(stamp)};
    return !record->streaming || may_end(record, got);
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
    if (first < 0 || first > last || (size_t)last > self->count) {
        PyErr_Format(PyExc_IndexError, "reads %zd to %zd of %zu", first, last, self->count);
        return NULL;
    }
    size_t from = first ? self->reads[first - 1].end : 0, to = last ? self->reads[last - 1].end : 0;
    return PyBytes_FromStringAndSize(self->bytes + from, to - from);
}

static PyObject *record_table(Record *self, PyObject *Py_UNUSED(ignored))
{
    return PyBytes_FromStringAndSize((char *)self->reads, self->count * sizeof(Read));
}

static PyObject *record_clear(Record *self, PyObject *Py_UNUSED(ignored))
{
    if (self->room > MOST_KEPT)
        forget(self);
    self->size = self->count = 0;
    self->streaming = 0;
    Py_RETURN_NONE;
}

static Py_ssize_t record_length(Record *self) { return self->count; }

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

static void record_dealloc(Record *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->look);
    forget(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef record_methods[] = {
    {"wire", (PyCFunction)record_wire, METH_VARARGS, NULL},
    {"table", (PyCFunction)record_table, METH_NOARGS, NULL},
    {"clear", (PyCFunction)record_clear, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef record_members[] = {
    {"streaming", T_BOOL, offsetof(Record, streaming), 0, NULL},
    {"ended", T_BOOL, offsetof(Record, ended), READONLY, NULL},
    {"error", T_INT, offsetof(Record, error), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot record_slots[] = {
    {Py_tp_methods, record_methods}, {Py_tp_members, record_members}, {Py_sq_length, record_length},
    {Py_tp_traverse, record_traverse}, {Py_tp_clear, record_forget_look}, {Py_tp_dealloc, record_dealloc},
    {0, NULL},
};

static PyType_Spec record_spec = {
    .name = "loadgen._receiver.Record", .basicsize = sizeof(Record), .slots = record_slots,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* -- Receiver */

static int receiver_init(Receiver *self, PyObject *arguments, PyObject *named)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "", names))
        return -1;
    if (self->records) {
        PyErr_SetString(PyExc_RuntimeError, "a receiver is made once");
        return -1;
    }
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->records = PySet_New(NULL);
    if (self->epoll < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    return self->epoll < 0 || !self->records ? -1 : 0;
}

static PyObject *receiver_fileno(Receiver *self, PyObject *Py_UNUSED(ignored)) { return PyLong_FromLong(self->epoll); }

static PyObject *receiver_add(Receiver *self, PyObject *arguments)
{
    int fd;
    PyObject *look;
    if (!PyArg_ParseTuple(arguments, "iO", &fd, &look))
        return NULL;
    Record *record = (Record *)record_type->tp_alloc(record_type, 0);
    if (!record)
        return NULL;
    record->fd = fd;
    record->look = Py_NewRef(look);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = record};
    if (PySet_Add(self->records, (PyObject *)record) < 0) {
        Py_DECREF(record);
        return NULL;
    }
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        PySet_Discard(self->records, (PyObject *)record);
        PyErr_Restore(type, value, trace);
        Py_DECREF(record);
        return NULL;
    }
    return (PyObject *)record;
}

static PyObject *receiver_remove(Receiver *self, PyObject *record)
{
    int is_ours = self->records ? PySet_Contains(self->records, record) : 0;
    if (is_ours < 0)
        return NULL;
    if (!is_ours)
        Py_RETURN_NONE;
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, ((Record *)record)->fd, NULL); /* gone already if the socket is closed */
    Py_CLEAR(((Record *)record)->look);
    if (PySet_Discard(self->records, record) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *receiver_read(Receiver *self, PyObject *record)
{
    int is_ours = self->records ? PySet_Contains(self->records, record) : 0;
    if (is_ours < 1) {
        if (!is_ours)
            PyErr_SetString(PyExc_ValueError, "not a record of this receiver, or removed");
        return NULL;
    }
    int look = receive(self, (Record *)record);
    return look < 0 ? PyErr_NoMemory() : PyBool_FromLong(look);
}

static PyObject *receiver_read_ready(Receiver *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *looks = PyList_New(0); /* first of all: it may start the collector, and so anybody's code */
    if (!looks)
        return NULL;
    int ready = epoll_wait(self->epoll, self->events, MOST_AT_ONCE, 0), failed = 0;
    if (ready < 0 && errno != EINTR) {
        Py_DECREF(looks);
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    self->caught_up = ready < MOST_AT_ONCE;
    for (int i = 0; i < ready; i++) {
        int look = receive(self, self->events[i].data.ptr);
        failed |= look < 0;
        self->events[i].events = look > 0;
    }
    for (int i = 0; i < ready && !failed; i++) {
        Record *record = self->events[i].data.ptr;
        if (self->events[i].events)
            failed = PyList_Append(looks, record->look) < 0;
    }
    if (failed) {
        Py_DECREF(looks);
        return PyErr_NoMemory();
    }
    return looks;
}

static PyObject *receiver_close(Receiver *self, PyObject *Py_UNUSED(ignored))
{
    if (self->epoll >= 0)
        close(self->epoll);
    self->epoll = -1;
    if (self->records && PySet_Clear(self->records) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int receiver_traverse(Receiver *self, visitproc visit, void *arg)
{
    Py_VISIT(self->records);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int receiver_forget(Receiver *self)
{
    if (self->epoll >= 0)
        close(self->epoll); /* before the records go that it points to */
    self->epoll = -1;
    Py_CLEAR(self->records);
    return 0;
}

static PyObject *receiver_new(PyTypeObject *type, PyObject *Py_UNUSED(arguments), PyObject *Py_UNUSED(named))
{
    Receiver *self = (Receiver *)type->tp_alloc(type, 0);
    if (self)
        self->epoll = -1;
    return (PyObject *)self;
}

static void receiver_dealloc(Receiver *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    receiver_forget(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef receiver_methods[] = {
    {"fileno", (PyCFunction)receiver_fileno, METH_NOARGS, NULL},
    {"add", (PyCFunction)receiver_add, METH_VARARGS, NULL},
    {"remove", (PyCFunction)receiver_remove, METH_O, NULL},
    {"read", (PyCFunction)receiver_read, METH_O, NULL},
    {"read_ready", (PyCFunction)receiver_read_ready, METH_NOARGS, NULL},
    {"close", (PyCFunction)receiver_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef receiver_members[] = {
    {"caught_up", T_BOOL, offsetof(Receiver, caught_up), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot receiver_slots[] = {
    {Py_tp_new, receiver_new}, {Py_tp_init, receiver_init}, {Py_tp_methods, receiver_methods},
    {Py_tp_members, receiver_members}, {Py_tp_traverse, receiver_traverse}, {Py_tp_clear, receiver_forget},
    {Py_tp_dealloc, receiver_dealloc}, {0, NULL},
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
