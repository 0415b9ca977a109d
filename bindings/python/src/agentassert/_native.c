/* The native engine: the C library (bindings/c), in Python's stable ABI. What it is and raises is
 * in engine.py; _native.pyi has the types. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agentassert.h"

typedef struct engine {
	PyObject base;
	agentassert *core; /* NULL once it is closed, and nobody uses it any more */
	Py_ssize_t users;  /* threads that use the core without holding the interpreter's lock */
	int is_closed;
} engine;

/* Raises an AgentAssertError. */
static void raise_error(const char *code, const char *message)
{
	PyObject *module = PyImport_ImportModule("agentassert.errors");
	if (module == NULL)
		return;
	PyObject *type = PyObject_GetAttrString(module, "AgentAssertError");
	Py_DECREF(module);
	if (type == NULL)
		return;
	PyObject *error = PyObject_CallFunction(type, "ss", code, message);
	if (error != NULL)
		PyErr_SetObject(type, error);
	Py_XDECREF(error);
	Py_DECREF(type);
}

/* Overwrites memory in a way that no compiler takes out, and frees it. */
static void wipe_and_free(void *memory, size_t size)
{
	volatile unsigned char *byte = memory;
	for (size_t i = 0; i < size; i++)
		byte[i] = 0;
	free(memory);
}

/* Returns the core for a thread that is about to let go of the interpreter's lock, or NULL if it
 * is closed. */
static agentassert *borrow(engine *self)
{
	if (self->is_closed)
		return NULL;
	self->users++;
	return self->core;
}

/* Ends what borrow began. Whoever is last closes a core that was to be closed meanwhile. */
static void give_back(engine *self)
{
	self->users--;
	if (self->is_closed && self->users == 0) {
		agentassert_close(self->core);
		self->core = NULL;
	}
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"max_instances", NULL};
	Py_ssize_t instances = 0;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "n:NativeEngine", names, &instances))
		return NULL;
	allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
	engine *self = (engine *)alloc(type, 0);
	if (self == NULL)
		return NULL;
	agentassert_options options = {.size = sizeof options, .instances = (size_t)instances};
	agentassert_error error;
	PyThreadState *state = PyEval_SaveThread();
	int result = agentassert_open(&options, &self->core, &error);
	PyEval_RestoreThread(state);
	if (result != 0) {
		raise_error(error.code, error.message);
		Py_DECREF(self);
		return NULL;
	}
	return (PyObject *)self;
}

static void engine_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	agentassert_close(((engine *)object)->core); /* a call holds a reference, so there is none */
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

/* Copies a request, which another thread could change while the lock is free. Returns NULL with an
 * exception set if it is no bytes, or there is no memory. */
static void *copy_request(PyObject *request, size_t *size)
{
	const char *data;
	if (PyByteArray_Check(request)) {
		data = PyByteArray_AsString(request);
		*size = (size_t)PyByteArray_Size(request);
	} else {
		char *bytes;
		Py_ssize_t length;
		if (PyBytes_AsStringAndSize(request, &bytes, &length) != 0)
			return NULL;
		data = bytes;
		*size = (size_t)length;
	}
	void *copy = malloc(*size + 1); /* also of nothing */
	if (copy == NULL)
		return PyErr_NoMemory();
	memcpy(copy, data, *size);
	return copy;
}

static PyObject *engine_call(PyObject *object, PyObject *request)
{
	engine *self = (engine *)object;
	size_t size;
	void *copy = copy_request(request, &size);
	if (copy == NULL)
		return NULL;
	agentassert *core = borrow(self);
	if (core == NULL) {
		wipe_and_free(copy, size);
		raise_error("closed", "the core is closed");
		return NULL;
	}
	void *response = NULL;
	size_t response_size = 0;
	agentassert_error error;
	PyThreadState *state = PyEval_SaveThread();
	int result = agentassert_exchange(core, copy, size, &response, &response_size, &error);
	wipe_and_free(copy, size);
	PyEval_RestoreThread(state);
	give_back(self);
	if (result != 0) {
		raise_error(error.code, error.message);
		return NULL;
	}
	PyObject *answer = PyByteArray_FromStringAndSize(response, (Py_ssize_t)response_size);
	agentassert_free(response);
	return answer;
}

static PyObject *engine_forget(PyObject *object, PyObject *Py_UNUSED(ignored))
{
	engine *self = (engine *)object;
	agentassert *core = borrow(self);
	if (core != NULL) {
		PyThreadState *state = PyEval_SaveThread();
		agentassert_forget(core);
		PyEval_RestoreThread(state);
		give_back(self);
	}
	Py_RETURN_NONE;
}

static PyObject *engine_close(PyObject *object, PyObject *Py_UNUSED(ignored))
{
	engine *self = (engine *)object;
	agentassert *core = borrow(self);
	if (core == NULL)
		Py_RETURN_NONE;
	self->is_closed = 1;
	if (self->users > 1) {
		PyThreadState *state = PyEval_SaveThread();
		agentassert_forget(core); /* waits for the others */
		PyEval_RestoreThread(state);
	}
	give_back(self);
	Py_RETURN_NONE;
}

static PyObject *engine_name(PyObject *Py_UNUSED(object), void *Py_UNUSED(context))
{
	return PyUnicode_FromString("native");
}

static PyMethodDef engine_methods[] = {
    {"call", engine_call, METH_O, NULL},
    {"forget", engine_forget, METH_NOARGS, NULL},
    {"close", engine_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef engine_members[] = {
    {"name", engine_name, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_methods},
    {Py_tp_getset, engine_members},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "agentassert._native.NativeEngine",
    .basicsize = sizeof(engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = engine_slots,
};

static int module_exec(PyObject *module)
{
	PyObject *type = PyType_FromModuleAndSpec(module, &engine_spec, NULL);
	if (type == NULL)
		return -1;
	int result = PyModule_AddType(module, (PyTypeObject *)type);
	Py_DECREF(type);
	if (result != 0)
		return -1;
	return PyModule_AddStringConstant(module, "MODULE_SHA256", agentassert_module_sha256());
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "agentassert._native",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&module_def);
}
