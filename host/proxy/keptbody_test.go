package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// someBytes returns a body of so many bytes that are not all alike.
func someBytes(size int) []byte {
	random, body := rand.NewChaCha8([32]byte{1}), make([]byte, size)
	_, _ = random.Read(body) // which never fails
	return body
}

func TestKeptBody(t *testing.T) {
	for _, size := range []int{1, bufferSize - 1, bufferSize, bufferSize + 1, bufferSize + pieceSize, bufferSize + 2*pieceSize + 5, MaxReplayed} {
		body := someBytes(size)
		for name, as := range map[string]func(io.Reader) io.Reader{
			"at once":           func(r io.Reader) io.Reader { return r },
			"in halves":         iotest.HalfReader,
			"the end with data": iotest.DataErrReader,
		} {
			k, err := keepBody(as(bytes.NewReader(body)), int64(size), &buffers{size: bufferSize}, &buffers{size: pieceSize})
			if err != nil {
				t.Fatalf("%d bytes, %s: %v", size, name, err)
			}
			if k.isWhole() != (size <= bufferSize) {
				t.Errorf("%d bytes, %s: whole: %v", size, name, k.isWhole())
			}
			var readers sync.WaitGroup
			for range 3 { // at the same time, and one after them
				readers.Go(func() {
					if got, err := io.ReadAll(k.reader()); err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes, %s: read %d, %v", size, name, len(got), err)
					}
				})
			}
			readers.Wait()
			if got, err := io.ReadAll(iotest.OneByteReader(k.reader())); err != nil || !bytes.Equal(got, body) || !k.isWhole() || k.failed() {
				t.Errorf("%d bytes, %s: afterwards %d, %v", size, name, len(got), err)
			}
			begun := k.reader()
			if _, err := io.ReadFull(begun, make([]byte, 1)); err != nil {
				t.Error(err)
			}
			k.release()
			for _, r := range []io.Reader{begun, k.reader()} {
				if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Errorf("%d bytes, %s: after the release %d, %v", size, name, n, err)
				}
			}
		}
	}
}

func TestKeptBodyThatFails(t *testing.T) {
	failure := errors.New("the connection is gone")
	for _, tt := range []struct {
		name   string
		source io.Reader
		size   int64
		want   error
	}{
		{"too short", strings.NewReader("half"), 10, io.ErrUnexpectedEOF},
		{"too long", strings.NewReader("twice as long"), 5, errTooLong},
		{"broken", iotest.ErrReader(failure), 10, failure},
		{"too short, later", bytes.NewReader(someBytes(bufferSize + 10)), bufferSize + 11, io.ErrUnexpectedEOF},
		{"too long, later", bytes.NewReader(someBytes(bufferSize + 10)), bufferSize + 9, errTooLong},
		{"broken later", io.MultiReader(bytes.NewReader(someBytes(bufferSize)), iotest.ErrReader(failure)), bufferSize + 10, failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := keepBody(tt.source, tt.size, &buffers{size: bufferSize}, &buffers{size: pieceSize})
			if tt.size > bufferSize {
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // it stays so
					if got, err := io.ReadAll(k.reader()); !errors.Is(err, tt.want) || len(got) < bufferSize || !k.failed() || k.isWhole() {
						t.Errorf("%d bytes, %v", len(got), err)
					}
				}
				return
			}
			if !errors.Is(err, tt.want) || k != nil {
				t.Errorf("got %v, %v; want %v", k, err, tt.want)
			}
		})
	}
}

// TestKeptBodyWaits: a body that does not come takes up one piece, and nobody waits for it
// who does not read it.
func TestKeptBodyWaits(t *testing.T) {
	source, sender := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := sender.Write(someBytes(bufferSize))
		sent <- err
	}()
	k, err := keepBody(source, MaxReplayed, &buffers{size: bufferSize}, &buffers{size: pieceSize})
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	if len(k.pieces) != 1 {
		t.Errorf("%d pieces", len(k.pieces))
	}
	r := k.reader()
	if _, err := io.ReadFull(r, make([]byte, bufferSize)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 1))
		ended <- err
	}()
	for k.mu.TryLock() { // until it is being read
		k.mu.Unlock()
		runtime.Gosched()
	}
	if k.failed() {
		t.Error("it has failed while it is awaited")
	}
	k.release()
	gone := errors.New("no more of it")
	if err := errors.Join(sender.CloseWithError(gone), <-ended); !errors.Is(err, gone) {
		t.Errorf("who waited got %v", err)
	}
}

// TestBodies: a body is passed on, a long one while it comes, and one that breaks off is
// answered for what it is.
func TestBodies(t *testing.T) {
	const rest = 3 * bufferSize
	p := startPlain(t, func(*Config) {}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" { // and reads nothing
			// net/http's server would wait for the rest.
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close() })
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"); err != nil {
				t.Error(err)
			}
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = w.Write(body)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	for _, size := range []int{1, bufferSize, bufferSize + 1, MaxReplayed, MaxReplayed + 1} {
		body := someBytes(size)
		response := p.open(t, "POST", "/", bytes.NewReader(body))
		if got, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: %s, %d bytes, %v", size, response.Status, len(got), err)
		}
	}
	for _, sent := range []int{1, bufferSize, 2 * bufferSize} {
		c, r := p.raw(t, p.request("POST /", "Content-Length: "+strconv.Itoa(bufferSize+rest))+string(someBytes(sent)))
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		response := readResponse(t, r)
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), CodeInvalidBody) {
			t.Errorf("half a body, of %d bytes: %s, %s, %v", sent, response.Status, text, err)
		}
	}
	// An answer does not wait for the rest, where the upstream does not.
	_, r := p.raw(t, p.request("POST /early", "Content-Length: "+strconv.Itoa(bufferSize+rest))+string(someBytes(bufferSize+1)))
	response := readResponse(t, r)
	if text, err := io.ReadAll(response.Body); err != nil || string(text) != "early" {
		t.Errorf("%s: %q, %v", response.Status, text, err)
	}
}
