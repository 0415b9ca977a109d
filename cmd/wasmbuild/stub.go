package main

import "fmt"

// errno 52 of WASI preview 1: function not supported.
const enosys = 52

// replaceImports puts a function of the module's own in the place of each imported one. Those come
// first in the index space of functions, in the same order, so all indices stay right. The new clock
// goes on from now, in nanoseconds.
func (m *module) replaceImports(now uint64) (clock uint64, err error) {
	clock = uint64(len(m.globals))
	m.globals = append(m.globals[:clock:clock], global{typ: typeI64, mutable: true, init: constI64(int64(now))})
	functions := make([]uint32, 0, len(m.imports)+len(m.functions))
	code := make([][]byte, 0, cap(functions))
	for _, i := range m.imports {
		body, err := m.stub(i, clock)
		if err != nil {
			return 0, err
		}
		functions = append(functions, i.typ)
		code = append(code, body)
	}
	m.functions = append(functions, m.functions...)
	m.code = append(code, m.code...)
	m.stubs = len(m.imports)
	m.imports = nil
	return clock, nil
}

// stub returns the body of the function that takes an import's place; clock is the index of the global
// that holds the time.
//
// A module that has been started asks WASI for little: the time; to print, before it gives up; to exit,
// when it has given up. Random numbers it must not ask for, since they would not be random.
func (m *module) stub(i funcImport, clock uint64) ([]byte, error) {
	if i.module != wasiModule {
		return nil, fmt.Errorf("the guest imports %s.%s; wasmbuild knows no module but %s", i.module, i.name, wasiModule)
	}
	if uint64(i.typ) >= uint64(len(m.types)) {
		return nil, fmt.Errorf("the import %s has type %d, which there is not", i.name, i.typ)
	}
	errno := []byte{typeI32}
	t := funcType{params: m.types[i.typ].params, results: errno}
	var code []byte
	switch i.name {
	case "clock_time_get": // (id i32, precision i64, time *u64)
		t.params = []byte{typeI32, typeI64, typeI32}
		code = appendClockMove(code, clock, clockStep)
		code = append(code, opLocalGet, 2)
		code = appendUnsigned(append(code, opGlobalGet), clock)
		code = append(code, opI64Store, 3, 0) // alignment 8, offset 0
		code = append(code, opI32Const, 0)
	case "fd_write": // (fd i32, iovs *[n]struct{ buf, len u32 }, n u32, written *u32)
		// It writes the first buffer, and it writes it nowhere.
		t.params = []byte{typeI32, typeI32, typeI32, typeI32}
		code = append(code, opLocalGet, 3)
		code = append(code, opLocalGet, 1)
		code = append(code, opI32Load, 2, 4)  // alignment 4, offset 4
		code = append(code, opI32Store, 2, 0) // alignment 4, offset 0
		code = append(code, opI32Const, 0)
	case "sched_yield", "poll_oneoff": // There is nothing to wait for.
		code = append(code, opI32Const, 0)
	case "random_get":
		code = append(code, opUnreachable)
	case "proc_exit": // (code i32), without a result
		t.results = nil
		code = append(code, opUnreachable)
	default:
		code = append(code, opI32Const, enosys)
	}
	if !m.types[i.typ].equal(&t) {
		return nil, fmt.Errorf("the import %s is not of the type that WASI gives it", i.name)
	}
	return append(append([]byte{0}, code...), opEnd), nil // no locals
}
