//go:build wasip1

// Command guest has the same exports as the real guest, and does in a call what the first byte of the
// request asks for: everything that a guest should not do.
package main

import (
	"crypto/rand"
	"runtime"
	"strconv"
	"time"
	"unsafe"
)

var (
	buffers = make(map[uint32][]byte)
	started = time.Now()
	table   [256]int
	nowhere *int
	sink    any
)

func init() {
	for i := range table {
		table[i] = i * i
	}
}

func main() {}

//go:wasmexport agentassert_abi
func abi() uint32 { return 1 }

//go:wasmexport agentassert_alloc
func alloc(n uint32) uint32 { return keep(make([]byte, n)) }

//go:wasmexport agentassert_free
func free(ptr uint32) { delete(buffers, ptr) }

//go:wasmexport agentassert_call
func call(ptr, n uint32) uint64 {
	response := []byte(do(buffers[ptr][:n]))
	return uint64(keep(response))<<32 | uint64(len(response))
}

func keep(b []byte) uint32 {
	ptr := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	buffers[ptr] = b
	return ptr
}

func do(request []byte) string {
	switch request[0] {
	case 't': // what init computed
		return strconv.Itoa(table[request[1]])
	case 'g': // garbage
		n := 0
		for range 64 {
			b := make([]byte, 1<<16)
			b[n] = 1
			sink = b
			n += int(b[n])
		}
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return strconv.Itoa(n) + " " + strconv.FormatBool(s.NumGC > 0)
	case 'r': // a deep stack, which has to be moved, then a panic through all of it
		defer func() { sink = recover() }()
		return strconv.Itoa(deep(10_000))
	case 'R': // the same, and the answer is what was recovered
		return recovered(func() { deep(-10_000) })
	case 'n': // nil pointer
		return recovered(func() { *nowhere = 1 })
	case 'i': // index out of range
		return recovered(func() { table[len(request)+255]++ })
	case 'f': // fail in the way that the second byte says, and recover without asking what it was
		return recoveredAny(failures[request[1]-'0'])
	case 'm': // a value method of a nil pointer, for which the runtime looks at names
		sink = (*value)(nil)
		return recovered(func() { sink.(methoder).method() })
	case 'w': // goroutines, and time that passes
		c := make(chan time.Duration)
		go func() {
			time.Sleep(time.Second)
			c <- time.Since(started)
		}()
		return strconv.FormatBool(<-c >= time.Second)
	case 'p': // print
		println("secret")
		return "printed"
	case 'S': // spin
		for {
			table[0]++
		}
	case 'A': // allocate without end
		var l *list
		for {
			l = &list{next: l}
			sink = l
		}
	case 'D': // deadlock
		<-make(chan int)
	case 'P': // panic
		panic("secret")
	case 'X': // random numbers
		b := make([]byte, 8)
		rand.Read(b)
		return string(b)
	}
	return "?"
}

type list struct {
	next *list
	_    [1 << 16]byte
}

type methoder interface{ method() int }

type value int

func (v value) method() int { return int(v) }

func recovered(f func()) (s string) {
	defer func() {
		if err, ok := recover().(error); ok {
			s = err.Error()
		}
	}()
	f()
	return "nothing"
}

// failures are the ways to panic.
var failures = []func(){
	func() { table[len(buffers)+256]++ },                                // index out of range
	func() { sink = make([]int, 4)[len(buffers)+5:] },                   // slice out of range
	func() { *nowhere = 1 },                                             // nil pointer
	func() { var m map[string]int; m["a"] = 1 },                         // nil map
	func() { table[0] /= len(buffers) - len(buffers) },                  // division by zero
	func() { sink = "text"; _ = sink.(int) },                            // type assertion
	func() { sink = "text"; _ = sink.(methoder) },                       // type assertion, missing method
	func() { sink = make([]int, -len(buffers)) },                        // negative length
	func() { sink = []int{1}; _ = map[any]int{1: 1}[sink] },             // unhashable key
	func() { sink = []int{1}; table[0] = length(sink == any([]int{})) }, // incomparable values
	func() { table[0] = 1 << (-len(buffers)) },                          // negative shift
	func() { sink = [4]int(make([]int, len(buffers)&1)) },               // slice to array
	func() { c := make(chan int); close(c); close(c) },                  // closed channel
	func() { defer func() { panic(recover()) }(); panic("first") },      // in a deferred function
	func() { deep(-10_000) },                                            // under a deep stack
}

func length(is bool) int {
	if is {
		return 1
	}
	return 0
}

func recoveredAny(f func()) (s string) {
	defer func() {
		if recover() != nil {
			s = "recovered"
		}
	}()
	f()
	return "nothing"
}

func deep(n int) int {
	if n == 0 {
		return 0
	}
	if n == -1 {
		return table[table[16]*-n]
	}
	if n < 0 {
		return 1 + deep(n+1)
	}
	return 1 + deep(n-1)
}
