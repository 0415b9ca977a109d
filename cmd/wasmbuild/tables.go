package main

import (
	"bytes"
	"encoding/binary"
)

// The linker gives package runtime a table of all functions. It begins with a header, pcHeader in the
// runtime's source, of little-endian words of 64 bits. These are their offsets; the parts of the table,
// which follow each other in memory, are given by their distance from the header.
const (
	headerMagic     = 0  // always headerMagicGo120, for versions of Go that lay out the table like this
	headerCount     = 8  // how many functions there are
	headerNames     = 32 // part: names of functions
	headerUnits     = 40 // part: where the files of each compilation unit are named
	headerFiles     = 48 // part: names of files
	headerValues    = 56 // part: lists, referred to by offset, of what holds in the blocks of a function
	headerFunctions = 64 // part: an index of the functions, and their descriptions
	headerSize      = 72

	headerMagicGo120 = 0x08_01_0000_fffffff1 // size of a pointer, size of an instruction, padding, magic
)

// The description of a function, _func in the runtime's source, consists of little-endian words of 32
// bits. These are the offsets of some.
const (
	functionEntry      = 0  // the function's index in the module's table
	functionName       = 4  // where in the names its own is
	functionSP         = 16 // list of how far the stack pointer has moved
	functionFile       = 20 // list of files
	functionLine       = 24 // list of lines
	functionListCount  = 28 // how many functionLists there are
	functionUnit       = 32 // where in the units the function's own is
	functionStartLine  = 36 // the line that the function begins in
	functionLists      = 44 // lists that the collector and the unwinder need
	functionIndexEntry = 8  // size of an entry in the index: functionEntry; where the description is
)

// The runtime finds a function by its program counter, which is its index times 1<<16, plus the block
// within it. It starts to look where a table of hints, findfunctab, says, which has one bucket for each
// 1<<12: an index u32, and 16 offsets u8.
const (
	bucketSize         = 20
	bucketsPerFunction = 1 << 16 / (1 << 12)

	// All of these tables are listed in moduledata, in words of 64 bits: where the header is; the
	// address, length and capacity of the five parts, and of the index; where the hints are.
	modulePart      = 1
	moduleIndex     = 16
	moduleHints     = 19
	moduleWordCount = 20
)

// clearTables clears what the runtime's tables of functions say that is of no use in the module, so that
// it does not take space there. It returns whether it found the tables. If a version of Go changes
// their layout then it finds none, and leaves memory as it is.
func clearTables(memory []byte) bool {
	for at := 0; at+headerSize <= len(memory); at += 8 {
		if word(memory, at+headerMagic) == headerMagicGo120 && clearPositions(memory[at:]) {
			clearHints(memory, at)
			return true
		}
	}
	return false
}

// clearPositions clears names of functions, source files and lines in the table whose header memory begins
// with. The runtime needs them to print tracebacks, which it does in vain here, and nothing else: what it
// treats in a special way it knows by a number, except in a method that the compiler made of a value's, for
// calls by pointer: of a nil pointer it says whose method was called. Names like those stay. The rest is a
// tenth of a compressed module. To the runtime, a function without a name or a list of lines is nothing
// special.
func clearPositions(memory []byte) bool {
	n := word(memory, headerCount)
	names, units, files := word(memory, headerNames), word(memory, headerUnits), word(memory, headerFiles)
	middle, end := word(memory, headerValues), word(memory, headerFunctions)
	if names < headerSize || names > units || units > files || files > middle || middle > end || end > uint64(len(memory)) {
		return false
	}
	values, functions := memory[middle:end], memory[end:]
	if n == 0 || n > uint64(len(functions)/functionIndexEntry) {
		return false
	}
	// All of it is read before anything is changed.
	descriptions := make([][]byte, n)
	used := make([]bool, len(values)) // by other lists than those of files and lines
	for i := range descriptions {
		entry := halfWord(functions, i*functionIndexEntry)
		offset := halfWord(functions, i*functionIndexEntry+4)
		if uint64(offset)+functionLists > uint64(len(functions)) {
			return false
		}
		f := functions[offset:]
		lists := uint64(halfWord(f, functionListCount))
		if entry != halfWord(functions, 0)+uint32(i) || entry != halfWord(f, functionEntry) ||
			functionLists+4*lists > uint64(len(f)) {
			return false
		}
		ok := useList(values, used, halfWord(f, functionSP))
		for j := range int(lists) {
			ok = ok && useList(values, used, halfWord(f, functionLists+4*j))
		}
		if !ok {
			return false
		}
		descriptions[i] = f
	}
	clearNames(memory[names:units], descriptions)
	for _, f := range descriptions {
		for _, field := range []int{functionFile, functionLine, functionUnit, functionStartLine} {
			clear(f[field : field+4])
		}
	}
	for i := range values {
		if !used[i] {
			values[i] = 0
		}
	}
	clear(memory[units:middle])
	return true
}

// clearNames clears the names of functions that are no methods of pointers.
func clearNames(names []byte, descriptions [][]byte) {
	used := make([]bool, len(names))
	for _, f := range descriptions {
		offset := uint64(halfWord(f, functionName))
		if offset >= uint64(len(names)) {
			continue
		}
		name := names[offset:]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		if !bytes.Contains(name, []byte("(*")) {
			clear(f[functionName : functionName+4])
			continue
		}
		for i := range name {
			used[int(offset)+i] = true
		}
	}
	for i := range names {
		if !used[i] {
			names[i] = 0
		}
	}
}

// useList marks the bytes of the list at an offset, and returns whether there is one. A list consists of
// pairs in unsigned LEB128, of a change in value and a change in program counter. A change in value
// of 0 ends it, unless it is the first. At offset 0 there is no list.
func useList(values []byte, used []bool, offset uint32) bool {
	if offset == 0 {
		return true
	}
	if uint64(offset) >= uint64(len(values)) {
		return false
	}
	r := &reader{b: values, pos: int(offset)}
	for first := true; r.u32() != 0 || first; first = false {
		r.u32()
	}
	if r.err != nil {
		return false
	}
	for i := int(offset); i < r.pos; i++ {
		used[i] = true
	}
	return true
}

// clearHints clears the hints for all program counters but the first of each function. Of a program
// counter the runtime only looks up the upper part, and would find any function without hints, too, if
// more slowly. They take a fifth of a module that is not compressed.
func clearHints(memory []byte, header int) {
	n := word(memory, header+headerCount)
	for at := 0; at+8*moduleWordCount <= len(memory); at += 8 {
		if word(memory, at) != uint64(header) ||
			word(memory, at+8*(modulePart+9)) != uint64(header)+word(memory, header+headerValues) ||
			word(memory, at+8*moduleIndex) != uint64(header)+word(memory, header+headerFunctions) ||
			word(memory, at+8*(moduleIndex+1)) != n+1 {
			continue
		}
		start := word(memory, at+8*moduleHints)
		count := (n - 1) * bucketsPerFunction // the last function has fewer
		if start > uint64(len(memory)) || count > (uint64(len(memory))-start)/bucketSize {
			return
		}
		hints := memory[start : start+count*bucketSize]
		for i := range int(count) {
			bucket := hints[i*bucketSize : (i+1)*bucketSize]
			if halfWord(bucket, 0) != uint32(i/bucketsPerFunction) || zeroRun(bucket[4:]) != bucketSize-4 {
				return
			}
		}
		for i := range int(count) {
			if i%bucketsPerFunction != 0 {
				clear(hints[i*bucketSize : (i+1)*bucketSize])
			}
		}
		return
	}
}

func word(b []byte, offset int) uint64 {
	return binary.LittleEndian.Uint64(b[offset:])
}

func halfWord(b []byte, offset int) uint32 {
	return binary.LittleEndian.Uint32(b[offset:])
}
