package host

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
)

// withheld is the body of a request that waits for 100 Continue before it is sent, and
// that could not be had anew. While the backend's answer has begun, and what follows
// from it is not known, nothing is read of it: net/http sends a body after a final
// answer, too, for the sake of the connection.
type withheld struct {
	body io.ReadCloser

	mu sync.Mutex
	// read says that some of it may be gone, and closed that whoever was to send it has
	// done with it.
	read, closed bool
	// answered is open while an answer is under way, and nothing was decided.
	answered chan struct{}
	// settled says that it was: the body is sent as any other, or it is taken back, and
	// whoever was to send it gets no more of it.
	settled, taken bool
}

// withhold returns the request with its body withheld, if that is to be.
func withhold(r *http.Request) (*http.Request, *withheld) {
	if r.Body == nil || r.Body == http.NoBody || r.GetBody != nil || !strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		return r, nil
	}
	w := &withheld{body: r.Body}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotFirstResponseByte: w.answer,
		// What has come is not the answer yet, and the answer may take the body to come.
		Got1xxResponse: func(int, textproto.MIMEHeader) error { w.resume(); return nil },
		Got100Continue: w.resume,
	}))
	r.Body = w
	return r, w
}

func (w *withheld) answer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered == nil && !w.settled {
		w.answered = make(chan struct{})
	}
}

// resume lets go of whoever waits to read.
func (w *withheld) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGo()
}

func (w *withheld) letGo() {
	if w.answered != nil {
		close(w.answered)
		w.answered = nil
	}
}

// errTaken ends the sending of a body that is sent with another request.
var errTaken = errors.New("the request was answered before its body was sent")

// Read reads the body, unless it was taken back.
func (w *withheld) Read(p []byte) (int, error) {
	for {
		w.mu.Lock()
		answered, taken := w.answered, w.taken
		w.read = w.read || answered == nil && !taken
		w.mu.Unlock()
		switch {
		case taken:
			return 0, errTaken
		case answered == nil:
			return w.body.Read(p)
		}
		<-answered
	}
}

// Close closes the body, or leaves it open for as long as it can be taken back.
func (w *withheld) Close() error {
	w.mu.Lock()
	done := w.closed || w.taken || !w.settled && !w.read
	w.closed = true
	w.mu.Unlock()
	if done {
		return nil
	}
	return w.body.Close()
}

// take returns the body if nothing was read of it. From there on it is the caller's. Of
// no withheld body it returns none.
func (w *withheld) take() (body io.ReadCloser, ok bool) {
	if w == nil {
		return nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read || w.settled {
		return nil, false
	}
	w.settled, w.taken = true, true
	w.letGo()
	return w.body, true
}

// settle has the body sent, or closed, as any other.
func (w *withheld) settle() {
	if w == nil {
		return
	}
	w.mu.Lock()
	held := w.closed && !w.read && !w.settled
	w.settled = true
	w.letGo()
	w.mu.Unlock()
	if held {
		_ = w.body.Close() // whoever closed it was told that it was closed
	}
}
