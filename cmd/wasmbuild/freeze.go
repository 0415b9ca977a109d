package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxPages is how large the finished module's memory may become. Hosts limit it to 32 MiB, and so does the
// module itself, for hosts that do not.
const maxPages = 32 << 20 / pageSize

// exportTypes holds the exports of a finished module, and the types of those that are functions.
var exportTypes = map[string]*funcType{
	exportMemory: nil,
	exportABI:    {results: []byte{typeI32}},
	exportAlloc:  {params: []byte{typeI32}, results: []byte{typeI32}},
	exportFree:   {params: []byte{typeI32}},
	exportCall:   {params: []byte{typeI32, typeI32}, results: []byte{typeI64}},
}

// freeze turns a module that the Go linker wrote for GOOS=wasip1 into one that imports nothing, in these steps,
// each of which has a file:
//
//   - snapshot: start the module, let it handle a request, and take what is then in memory and in the globals;
//   - stub: put functions of the module's own in the places of the imported ones;
//   - trim: take out what nobody needs once it has been started, and what is listed as cut;
//   - segments: make data of the memory;
//   - mark, for tests only: have each function note that it was entered;
//   - clock, limit: have each call take time by the module's clock, and no more than so many steps.
//
// It also returns what the module answered to badRequest before.
func freeze(ctx context.Context, built *module, c *cuts, marked bool) (frozen *module, answer []byte, err error) {
	if built.start != nil {
		return nil, nil, errors.New("the guest has a start function, which would run again in the snapshot; build it with -buildmode=c-shared")
	}
	if built.memory == nil {
		return nil, nil, errors.New("the guest has no memory")
	}
	s, err := runGuest(ctx, built)
	if err != nil {
		return nil, nil, err
	}
	m := *built
	m.globals = s.globals
	m.exports = slices.DeleteFunc(slices.Clone(built.exports), func(e export) bool { return e.name == exportInitialize })
	m.customs = slices.DeleteFunc(slices.Clone(built.customs), func(c custom) bool { return c.name != "producers" })
	clock, err := m.replaceImports(s.clock)
	if err != nil {
		return nil, nil, err
	}
	if err := m.trim(s.memory, c); err != nil {
		return nil, nil, err
	}
	most := uint32(maxPages)
	m.memory = &limits{min: uint32(len(s.memory) / pageSize), max: &most}
	m.data = segments(s.memory)
	if err := m.check(); err != nil {
		return nil, nil, err
	}
	if marked {
		if err := m.mark(); err != nil {
			return nil, nil, err
		}
	}
	left, err := m.limitSteps()
	if err != nil {
		return nil, nil, err
	}
	m.wrapExports(appendClockMove(appendStepReset(nil, left), clock, callTime))
	return &m, s.answer, nil
}

// check refuses a module that is not fit to be shipped: one that imports anything, runs anything by
// itself, or does not export exactly what exportTypes lists.
func (m *module) check() error {
	for _, i := range m.imports {
		return fmt.Errorf("the module imports %s.%s; it must import nothing", i.module, i.name)
	}
	if m.start != nil {
		return errors.New("the module has a start function; it must not run by itself")
	}
	if m.memory == nil {
		return errors.New("the module has no memory")
	}
	seen := make(map[string]bool)
	for _, e := range m.exports {
		want, ok := exportTypes[e.name]
		switch {
		case !ok:
			return fmt.Errorf("the module exports %q, which is not part of the ABI", e.name)
		case seen[e.name]:
			return fmt.Errorf("the module exports %q twice", e.name)
		case want == nil && (e.kind != externMemory || e.index != 0):
			return fmt.Errorf("the export %q is not the module's memory", e.name)
		case want != nil && !m.hasType(e, want):
			return fmt.Errorf("the export %q is not a function of the type that the ABI gives it", e.name)
		}
		seen[e.name] = true
	}
	for name := range exportTypes {
		if !seen[name] {
			return fmt.Errorf("the module does not export %q", name)
		}
	}
	return nil
}

// hasType reports whether e is one of the module's own functions and of type want.
func (m *module) hasType(e export, want *funcType) bool {
	own := int64(e.index) - int64(len(m.imports))
	if e.kind != externFunc || own < 0 || own >= int64(len(m.functions)) {
		return false
	}
	typ := m.functions[own]
	return uint64(typ) < uint64(len(m.types)) && m.types[typ].equal(want)
}

func (t *funcType) equal(u *funcType) bool {
	return bytes.Equal(t.params, u.params) && bytes.Equal(t.results, u.results)
}

// wrapExports has the exported functions begin with code, which must leave the stack as it is. Who calls
// them within the module does not come by it.
func (m *module) wrapExports(code []byte) {
	m.functions = append([]uint32(nil), m.functions...)
	m.code = append([][]byte(nil), m.code...)
	m.exports = append([]export(nil), m.exports...)
	for i, e := range m.exports {
		if e.kind != externFunc {
			continue
		}
		typ := m.functions[int(e.index)-len(m.imports)]
		body := append([]byte{0}, code...) // no locals
		for p := range m.types[typ].params {
			body = appendUnsigned(append(body, opLocalGet), uint64(p))
		}
		body = appendUnsigned(append(body, opCall), uint64(e.index))
		m.exports[i].index = uint32(len(m.imports) + len(m.functions))
		m.functions = append(m.functions, typ)
		m.code = append(m.code, append(body, opEnd))
	}
}
