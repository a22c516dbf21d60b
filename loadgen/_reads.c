/* Sums over the reads of one answer: `loadgen.reads`, in C. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_read.h"

static PyObject *list_of(Py_ssize_t count, const Read *reads, int64_t offset, int wants_end)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *number = PyLong_FromLongLong(wants_end ? reads[i].end : reads[i].received - offset);
        if (!number)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static PyObject *ends_of(PyObject *Py_UNUSED(module), PyObject *argument)
{
    Py_buffer table;
    if (PyObject_GetBuffer(argument, &table, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *ends = list_of(table.len / sizeof(Read), table.buf, 0, 1);
    PyBuffer_Release(&table);
    return ends;
}

static PyObject *plain_stamps(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer table;
    long long offset, sent, slack;
    if (!PyArg_ParseTuple(arguments, "y*LLL", &table, &offset, &sent, &slack))
        return NULL;
    const Read *reads = table.buf;
    Py_ssize_t count = table.len / sizeof(Read);
    int are_plain = 1;
    int64_t before = sent;
    for (Py_ssize_t i = 0; i < count; i++) {
        int64_t stamp = reads[i].received - offset, lag = reads[i].read_at - stamp;
        are_plain &= stamp >= before && lag >= 0 && lag <= slack;
        before = stamp;
    }
    PyObject *stamps = are_plain ? list_of(count, reads, offset, 0) : Py_NewRef(Py_None);
    PyBuffer_Release(&table);
    return stamps;
}

static PyObject *gaps_us(PyObject *Py_UNUSED(module), PyObject *stamps)
{
    if (!PyList_Check(stamps)) {
        PyErr_SetString(PyExc_TypeError, "stamps: expected a list");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(stamps);
    PyObject *gaps = PyList_New(count > 0 ? count - 1 : 0);
    long long begin = 0, before = 0;
    for (Py_ssize_t i = 0; gaps && i < count; i++) {
        long long stamp = PyLong_AsLongLong(PyList_GET_ITEM(stamps, i));
        if (stamp == -1 && PyErr_Occurred()) {
            Py_CLEAR(gaps);
            break;
        }
        begin = i ? begin : stamp;
        long long mark = (stamp - begin) / 1000; /* the stamps rise */
        PyObject *gap = i ? PyLong_FromLongLong(mark - before) : NULL;
        if (i && !gap)
            Py_CLEAR(gaps);
        else if (i)
            PyList_SET_ITEM(gaps, i - 1, gap);
        before = mark;
    }
    return gaps;
}

static PyMethodDef methods[] = {
    {"ends_of", ends_of, METH_O, NULL},
    {"plain_stamps", plain_stamps, METH_VARARGS, NULL},
    {"gaps_us", gaps_us, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "loadgen._reads", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__reads(void) { return PyModule_Create(&definition); }
