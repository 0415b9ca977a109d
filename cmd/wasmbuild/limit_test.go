package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

func TestInsertInLoops(t *testing.T) {
	for name, test := range map[string]struct{ body, want []byte }{
		"no loop":    {[]byte{0, opEnd}, []byte{0, opEnd}},
		"loop":       {[]byte{0, opLoop, blockEmpty, opEnd, opEnd}, []byte{0, opLoop, blockEmpty, opNop, opEnd, opEnd}},
		"two":        {[]byte{0, opLoop, typeI32, opLoop, 1, opEnd, opEnd, opEnd}, []byte{0, opLoop, typeI32, opNop, opLoop, 1, opNop, opEnd, opEnd, opEnd}},
		"type 64":    {[]byte{0, opLoop, 0xc0, 0, opEnd, opEnd}, []byte{0, opLoop, 0xc0, 0, opNop, opEnd, opEnd}},
		"locals":     {[]byte{1, opLoop, typeI64, opLoop, blockEmpty, opEnd, opEnd}, []byte{1, opLoop, typeI64, opLoop, blockEmpty, opNop, opEnd, opEnd}},
		"constants":  {[]byte{0, opI32Const, opLoop, opDrop, opF64Const, 3, 3, 3, 3, 3, 3, 3, 3, opDrop, opEnd}, nil},
		"arguments":  {[]byte{0, opBrTable, 2, opLoop, opLoop, opLoop, opCallIndirect, opLoop, 0, opI32Load, opLoop, opLoop, opEnd}, nil},
		"prefixed":   {[]byte{0, opPrefixed, opLoop, opPrefixed, subMemoryCopy, opLoop, opLoop, opPrefixed, subMemoryFill, opLoop, opEnd}, nil},
		"everything": {[]byte{0, opF32Const, 3, 3, 3, 3, opI64Const, 0x83, 3, opMemorySize, 3, opMemoryGrow, 3, opReturn, opElse, opSelect, opEnd}, nil},
	} {
		if test.want == nil {
			test.want = test.body
		}
		got, err := insertInLoops(test.body, []byte{opNop})
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s: % x, %v; want % x", name, got, err, test.want)
		}
	}
	for name, body := range map[string][]byte{
		"nothing":            {},
		"locals cut short":   {1, 1},
		"too many locals":    {0xff, 0xff, 0xff, 0xff, 0x0f, opEnd},
		"call cut short":     {0, opCall},
		"load cut short":     {0, opI32Load, 2},
		"giant br_table":     {0, opBrTable, 0xff, 0xff, 0xff, 0xff, 0x0f, opEnd},
		"unknown":            {0, 0xfd, 0, opEnd},
		"unknown, prefixed":  {0, opPrefixed, 12, 0, 0, opEnd},
		"exceptions":         {0, 0x06, blockEmpty, opEnd, opEnd},
		"reference":          {0, 0xd0, 0x70, opEnd},
		"block type too big": {0, opBlock, 0xff, 0xff, 0xff, 0xff, 0x5e, opEnd},
	} {
		if got, err := insertInLoops(body, nil); err == nil {
			t.Errorf("%s: % x, and no error", name, got)
		}
	}
}

// A loop takes as many steps as it has iterations, whoever calls the functions that it is in.
func TestStepLimit(t *testing.T) {
	m := &module{
		types:     []funcType{{params: []byte{typeI32}, results: []byte{typeI32}}},
		functions: []uint32{0, 0},
		exports:   []export{{"f", externFunc, 1}},
		code: [][]byte{
			// do { n-- } while (n != 0); return n
			{0, opLoop, blockEmpty, opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd, opLocalGet, 0, opEnd},
			{0, opLocalGet, 0, opCall, 0, opEnd},
		},
	}
	left, err := m.limitSteps()
	if err != nil {
		t.Fatal(err)
	}
	m.wrapExports(appendStepReset(nil, left))
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	instance, err := r.Instantiate(ctx, m.encode())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{1, stepLimit - 1, stepLimit - 1} {
		if got, err := invoke(ctx, instance, "f", n); err != nil || got != 0 {
			t.Errorf("%d steps: %d, %v", n, got, err)
		}
	}
	if got, err := invoke(ctx, instance, "f", stepLimit); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("%d steps: %d, %v; want a trap", stepLimit, got, err)
	}
}
