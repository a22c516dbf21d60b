/* Like chunks of an HTTP body, read by sight: `like_chunks` of `loadgen.chunked`, in C. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#define MOST_DIGITS 8

/* Length of the chunk size at `text` in digits, and the size; 0 if it is none as servers write them. */
static Py_ssize_t read_size(const char *text, Py_ssize_t length, Py_ssize_t *size)
{
    Py_ssize_t digits = 0;
    *size = 0;
    for (; digits < length && digits <= MOST_DIGITS; digits++) {
        char c = text[digits];
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (value < 0)
            break;
        *size = *size * 16 + value;
    }
    return digits <= MOST_DIGITS && digits && text[0] != '0' ? digits : 0;
}

static PyObject *like_chunks(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer wire, before, after;
    Py_ssize_t at;
    if (!PyArg_ParseTuple(arguments, "y*ny*y*", &wire, &at, &before, &after))
        return NULL;
    PyObject *insides = PyList_New(0), *ends = PyList_New(0);
    const char *text = wire.buf;
    int failed = !insides || !ends;
    while (!failed && at >= 0 && at < wire.len) {
        Py_ssize_t size, digits = read_size(text + at, wire.len - at, &size);
        const char *data = text + at + digits + 2;
        Py_ssize_t inside = size - before.len - after.len;
        if (!digits || inside <= 0 || wire.len - at < digits + 2 + size + 2)
            break;
        if (memcmp(data - 2, "\r\n", 2) || memcmp(data + size, "\r\n", 2) || memcmp(data, before.buf, before.len) ||
            memcmp(data + size - after.len, after.buf, after.len))
            break;
        at += digits + 2 + size + 2;
        PyObject *said = PyBytes_FromStringAndSize(data + before.len, inside), *end = PyLong_FromSsize_t(at);
        failed = !said || !end || PyList_Append(insides, said) < 0 || PyList_Append(ends, end) < 0;
        Py_XDECREF(said);
        Py_XDECREF(end);
    }
    PyBuffer_Release(&wire);
    PyBuffer_Release(&before);
    PyBuffer_Release(&after);
    PyObject *found = failed ? NULL : PyTuple_Pack(2, insides, ends);
    Py_XDECREF(insides);
    Py_XDECREF(ends);
    return found;
}

static PyMethodDef methods[] = {{"like_chunks", like_chunks, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "loadgen._chunks", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__chunks(void) { return PyModule_Create(&definition); }
