package wire

import (
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of arrays and maps in a message. The deepest
// message nests five.
const maxDepth = 16

// Message is a CBOR map with a fixed set of members.
type Message interface {
	// fields lists the members, in the order of their encoded names (the shorter
	// first, for the length stands in front), with pointers to where they are
	// kept.
	fields() []field
}

// field binds a member's name to the variable that holds it: a *string, *int64,
// *bool, *[]byte, *Raw, *[]string, *[]Header, a Message, or an optional.
type field struct {
	name string
	at   any
	// omit says that the member is absent when its value is the zero value.
	omit bool
}

// optional is a member that is a message and may be absent.
type optional interface {
	present() bool
	// get returns the message, which it makes first if there is none.
	get() Message
}

// pointer is an optional that is kept as a pointer, nil where it is absent. It has
// no other field: so it takes no memory of its own as an interface's value.
type pointer[M any, P interface {
	*M
	Message
}] struct{ at **M }

func (p pointer[M, P]) present() bool { return *p.at != nil }

func (p pointer[M, P]) get() Message {
	if *p.at == nil {
		*p.at = new(M)
	}
	return P(*p.at)
}

func opt[M any, P interface {
	*M
	Message
}](at **M) optional {
	return pointer[M, P]{at}
}

// Raw is one encoded data item inside a message. It is checked to be well
// formed and deterministic where it is decoded; what it means is up to whoever
// decodes it next.
type Raw []byte

// IsZero reports whether there is no item, so that a reflecting codec knows what
// to leave out.
func (r Raw) IsZero() bool { return len(r) == 0 }

// MarshalCBOR returns r itself.
func (r Raw) MarshalCBOR() ([]byte, error) {
	if len(r) == 0 {
		return nil, errors.New("wire: empty raw item")
	}
	return r, nil
}

// UnmarshalCBOR keeps a copy of data.
func (r *Raw) UnmarshalCBOR(data []byte) error {
	*r = slices.Clone(data)
	return nil
}

// The major types of RFC 8949, section 3.1, shifted to where they stand in an
// item's first byte.
const (
	majorUint  = 0 << 5
	majorNint  = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5

	itemFalse = 0xf4
	itemTrue  = 0xf5
)

// Encode returns the encoding of m.
func Encode(m Message) []byte {
	return appendMessage(make([]byte, 0, 256), m)
}

// EncodeResult returns the encoding of the [Response] whose OK is m.
func EncodeResult(m Message) []byte {
	b := appendHead(make([]byte, 0, 512), majorMap, 1)
	return appendMessage(appendText(b, "ok"), m)
}

func appendMessage(b []byte, m Message) []byte {
	fields := m.fields()
	count := uint64(0)
	for _, f := range fields {
		if !f.omit || !isZero(f.at) {
			count++
		}
	}
	b = appendHead(b, majorMap, count)
	for _, f := range fields {
		if !f.omit || !isZero(f.at) {
			b = appendText(b, f.name)
			b = appendMember(b, f.at)
		}
	}
	return b
}

func appendMember(b []byte, at any) []byte {
	switch v := at.(type) {
	case *string:
		return appendText(b, *v)
	case *int64:
		return appendInt(b, *v)
	case *bool:
		if *v {
			return append(b, itemTrue)
		}
		return append(b, itemFalse)
	case *[]byte:
		return append(appendHead(b, majorBytes, uint64(len(*v))), *v...)
	case *Raw:
		return append(b, *v...)
	case *[]string:
		b = appendHead(b, majorArray, uint64(len(*v)))
		for _, s := range *v {
			b = appendText(b, s)
		}
		return b
	case *[]Header:
		b = appendHead(b, majorArray, uint64(len(*v)))
		for i := range *v {
			b = appendMessage(b, &(*v)[i])
		}
		return b
	case optional:
		return appendMessage(b, v.get())
	case Message:
		return appendMessage(b, v)
	}
	panic("wire: a field of an unknown type")
}

func isZero(at any) bool {
	switch v := at.(type) {
	case *string:
		return *v == ""
	case *int64:
		return *v == 0
	case *bool:
		return !*v
	case *[]byte:
		return len(*v) == 0
	case *Raw:
		return len(*v) == 0
	case *[]string:
		return len(*v) == 0
	case *[]Header:
		return len(*v) == 0
	case optional:
		return !v.present()
	}
	return false
}

// sortsBefore compares two keys as they are encoded.
func sortsBefore(a, b string) bool {
	return len(a) < len(b) || len(a) == len(b) && a < b
}

// appendHead appends an item's first byte and its argument, as short as it can
// be (RFC 8949, section 4.2.1).
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return append(b, major|25, byte(n>>8), byte(n))
	case n < 1<<32:
		return append(b, major|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, major|27, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32),
		byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNint, uint64(-(n + 1)))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// A DecodeError says where a message is not what it should be.
type DecodeError struct {
	// Offset is where the trouble starts, in bytes.
	Offset int
	// Member leads to the member of the message that it is in, as in config.abom. It
	// is empty for the message itself.
	Member string
	// Problem says what it is.
	Problem string
}

func (e *DecodeError) Error() string {
	where := "wire: offset " + strconv.Itoa(e.Offset)
	if e.Member != "" {
		where += ", member " + e.Member
	}
	return where + ": " + e.Problem
}

// in adds the member that an error is in.
func in(member string, err error) error {
	if e, ok := errors.AsType[*DecodeError](err); ok {
		if e.Member != "" {
			member += "." + e.Member
		}
		return &DecodeError{e.Offset, member, e.Problem}
	}
	return err
}

// Decode reads data, which must be the encoding of one message, into m, which
// must be zero. The error is a [*DecodeError]; m is then half filled and of no
// use. Byte strings and raw items are copied, so that data may be reused.
func Decode(data []byte, m Message) error {
	d := decoder{data: data}
	return d.whole(m)
}

// DecodeRequest is Decode for a request, but the parameters are not copied: they
// are a part of data.
func DecodeRequest(data []byte, r *Request) error {
	d := decoder{data: data, share: true}
	return d.whole(r)
}

// whole reads a message that is all of the data.
func (d *decoder) whole(m Message) error {
	if len(d.data) > MaxMessage {
		return &DecodeError{MaxMessage, "", "the message is larger than " + strconv.Itoa(MaxMessage) + " bytes"}
	}
	if err := d.message(m, 0); err != nil {
		return err
	}
	if d.pos != len(d.data) {
		return d.fail("bytes after the end of the message")
	}
	return nil
}

type decoder struct {
	data  []byte
	pos   int
	share bool // raw items are not copied
}

func (d *decoder) fail(problem string) error { return &DecodeError{d.pos, "", problem} }

// head reads an item's first byte and its argument.
func (d *decoder) head() (major byte, n uint64, err error) {
	if d.pos >= len(d.data) {
		return 0, 0, d.fail("the message ends too early")
	}
	first := d.data[d.pos]
	major, info := first&0xe0, first&0x1f
	if info < 24 {
		d.pos++
		return major, uint64(info), nil
	}
	if info > 27 {
		return 0, 0, d.fail("an indefinite length or a reserved value")
	}
	size := 1 << (info - 24)
	if len(d.data)-d.pos-1 < size {
		return 0, 0, d.fail("the message ends too early")
	}
	for _, c := range d.data[d.pos+1 : d.pos+1+size] {
		n = n<<8 | uint64(c)
	}
	if (size == 1 && n < 24) || (size > 1 && n>>(4*uint(size)) == 0) {
		return 0, 0, d.fail("a number that is not in its shortest form")
	}
	d.pos += 1 + size
	return major, n, nil
}

// expect reads the head of an item that must be of the given major type.
func (d *decoder) expect(major byte, what string) (uint64, error) {
	start := d.pos
	got, n, err := d.head()
	if err != nil {
		return 0, err
	}
	if got != major {
		d.pos = start
		return 0, d.fail("want " + what)
	}
	return n, nil
}

// take returns the next n bytes, which still belong to the message.
func (d *decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.data)-d.pos) {
		return nil, d.fail("the message ends too early")
	}
	b := d.data[d.pos : d.pos+int(n)]
	d.pos += int(n)
	return b, nil
}

func (d *decoder) text() (string, error) {
	b, err := d.textBytes()
	return string(b), err
}

// textBytes reads a text string, too, but what it returns still belongs to the
// message.
func (d *decoder) textBytes() ([]byte, error) {
	n, err := d.expect(majorText, "a text string")
	if err != nil {
		return nil, err
	}
	start := d.pos
	b, err := d.take(n)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) {
		d.pos = start
		return nil, d.fail("a text string that is not valid UTF-8")
	}
	return b, nil
}

// count reads the head of an array. Every element takes at least one byte, so
// a count beyond what is left is refused before anything is allocated for it.
func (d *decoder) count() (int, error) {
	n, err := d.expect(majorArray, "an array")
	if err != nil {
		return 0, err
	}
	if n > uint64(len(d.data)-d.pos) {
		return 0, d.fail("the message ends too early")
	}
	return int(n), nil
}

func (d *decoder) message(m Message, depth int) error {
	if depth >= maxDepth {
		return d.fail("nested too deeply")
	}
	n, err := d.expect(majorMap, "a map")
	if err != nil {
		return err
	}
	fields := m.fields()
	var last []byte
	for i := uint64(0); i < n; i++ {
		start := d.pos
		name, err := d.textBytes()
		if err != nil {
			return err
		}
		if i > 0 && !sortsBefore(string(last), string(name)) {
			d.pos = start
			return d.fail("map keys that are not sorted or not unique")
		}
		last = name
		// Both are sorted: what is passed over is absent.
		for len(fields) > 0 && fields[0].omit && sortsBefore(fields[0].name, string(name)) {
			fields = fields[1:]
		}
		if len(fields) == 0 || fields[0].name != string(name) {
			d.pos = start
			return d.fail("unknown member " + strconv.Quote(string(name)) + missing(fields))
		}
		f := fields[0]
		fields = fields[1:]
		start = d.pos
		if err := d.member(f.at, depth+1); err != nil {
			return in(f.name, err)
		}
		if f.omit && isZero(f.at) {
			d.pos = start
			return d.fail("member " + strconv.Quote(f.name) + " must be left out when it is empty")
		}
	}
	for _, f := range fields {
		if !f.omit {
			return d.fail("the map ends too early" + missing(fields))
		}
	}
	return nil
}

// missing names the first member that has to be there.
func missing(fields []field) string {
	for _, f := range fields {
		if !f.omit {
			return "; member " + strconv.Quote(f.name) + " is missing"
		}
	}
	return ""
}

func (d *decoder) member(at any, depth int) (err error) {
	switch v := at.(type) {
	case *string:
		*v, err = d.text()
		return err
	case *int64:
		*v, err = d.int()
		return err
	case *bool:
		if d.pos < len(d.data) && (d.data[d.pos] == itemFalse || d.data[d.pos] == itemTrue) {
			*v = d.data[d.pos] == itemTrue
			d.pos++
			return nil
		}
		return d.fail("want true or false")
	case *[]byte:
		n, err := d.expect(majorBytes, "a byte string")
		if err != nil {
			return err
		}
		b, err := d.take(n)
		*v = slices.Clone(b)
		return err
	case *Raw:
		start := d.pos
		if err := d.skip(depth); err != nil {
			return err
		}
		*v = d.data[start:d.pos:d.pos]
		if !d.share {
			*v = slices.Clone(*v)
		}
		return nil
	case *[]string:
		n, err := d.count()
		if err != nil {
			return err
		}
		// Grown as they come, here and below: an element takes more room than
		// the one byte that count has checked for.
		for range n {
			s, err := d.text()
			if err != nil {
				return err
			}
			*v = append(*v, s)
		}
		return nil
	case *[]Header:
		n, err := d.count()
		if err != nil {
			return err
		}
		for range n {
			var h Header
			if err := d.message(&h, depth); err != nil {
				return err
			}
			*v = append(*v, h)
		}
		return nil
	case optional:
		return d.message(v.get(), depth)
	case Message:
		return d.message(v, depth)
	}
	panic("wire: a field of an unknown type")
}

func (d *decoder) int() (int64, error) {
	start := d.pos
	major, n, err := d.head()
	if err != nil {
		return 0, err
	}
	if (major != majorUint && major != majorNint) || n > 1<<63-1 {
		d.pos = start
		return 0, d.fail("want an integer of at most 64 bits")
	}
	if major == majorNint {
		return -int64(n) - 1, nil
	}
	return int64(n), nil
}

// skip moves past one item, and checks it on the way.
func (d *decoder) skip(depth int) error {
	start := d.pos
	if d.pos < len(d.data) && (d.data[d.pos] == itemFalse || d.data[d.pos] == itemTrue) {
		d.pos++
		return nil
	}
	major, n, err := d.head()
	if err != nil {
		return err
	}
	switch major {
	case majorUint, majorNint:
		if n > 1<<63-1 {
			d.pos = start
			return d.fail("want an integer of at most 64 bits")
		}
		return nil
	case majorBytes:
		_, err := d.take(n)
		return err
	case majorText:
		d.pos = start
		_, err := d.textBytes()
		return err
	case majorArray, majorMap:
		if depth >= maxDepth {
			return d.fail("nested too deeply")
		}
		var last []byte
		for i := uint64(0); i < n; i++ {
			if major == majorMap {
				start := d.pos
				name, err := d.textBytes()
				if err != nil {
					return err
				}
				if i > 0 && !sortsBefore(string(last), string(name)) {
					d.pos = start
					return d.fail("map keys that are not sorted or not unique")
				}
				last = name
			}
			if err := d.skip(depth + 1); err != nil {
				return err
			}
		}
		return nil
	}
	d.pos = start
	return d.fail("a tag, a float or a simple value that no message has")
}
