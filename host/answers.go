package host

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// place is where answers are kept that can stand for each other.
type place uint8

const (
	// placeBackground and placeBearerOnly are those of the surfaces with that scope.
	placeBackground place = iota
	placeBearerOnly
	// placeResponses is for a thread's calls to responses, which can carry something of
	// their own and go elsewhere, placeRest for all others of a thread's.
	placeResponses
	placeRest
	// placeNowhere is for what is not kept.
	placeNowhere
)

// placeOf returns a surface's.
func placeOf(s core.Surface) place {
	switch {
	case s.Scope == core.ScopeBearerOnly:
		return placeBearerOnly
	case s.Scope == core.ScopeBackground:
		return placeBackground
	case s.Name == core.SurfaceResponses:
		return placeResponses
	}
	return placeRest
}

// answer is an authorization, and the second for which it was made.
type answer struct {
	Authorization
	second int64
	// isCommon says that it does not depend on the conversation, if it is for one.
	isCommon bool
	// signed makes another, if each is for one request.
	signed *signed
	// lacks is the error that takes the answer's place, of a manager that is strict.
	lacks error
}

// of is the answer for another call, for which it is good, too.
func (a *answer) of(c call) Authorization {
	another := a.Authorization
	another.call = c
	return another
}

// answers are a manager's last ones, and what they stand on.
type answers struct {
	// common are those that do not depend on a conversation, by their places.
	common  [placeNowhere]atomic.Pointer[answer]
	grounds [placeNowhere]atomic.Pointer[ground]
	// renewing is held while the common answer of a place is made anew.
	renewing [placeNowhere]sync.Mutex

	conversations conversations
}

// find returns the answer for a call in that second, or nil.
func (as *answers) find(c call, second int64) *answer {
	if c.place == placeNowhere {
		return nil
	}
	if c.thread != "" {
		if a := as.conversations.answer(c, second); a != nil {
			return a
		}
	}
	a := as.common[c.place].Load()
	if a == nil || a.second != second || c.thread != "" && core.CheckThreadID(c.thread) != nil {
		return nil
	}
	return a
}

// keep keeps an answer for its second.
func (as *answers) keep(c call, a *answer) {
	switch {
	case c.place == placeNowhere:
	case c.thread == "" || a.isCommon:
		as.common[c.place].Store(a)
		as.conversations.dropAnswer(c)
	default:
		as.conversations.keepAnswer(c, a)
	}
}

// drop drops the answers with the task, or the instance, that a flow has recovered from.
func (as *answers) drop(r *wire.Rejection) {
	for i := range as.common {
		a := as.common[i].Load()
		if a != nil && a.AgentRuntimeID == r.AgentRuntimeID && a.TaskID == r.TaskID && a.RuntimeAgentInstance == r.RuntimeAgentInstance {
			as.common[i].CompareAndSwap(a, nil)
		}
	}
}

// clear drops all.
func (as *answers) clear() {
	for i := range as.common {
		as.common[i].Store(nil)
		as.grounds[i].Store(nil)
	}
	as.conversations.clear()
}

// recall returns the answer of this second. Of one with a runtime agent instance
// there is another assertion each time.
func (m *Manager) recall(ctx context.Context, c call) (a Authorization, ok bool, err error) {
	k := m.answers.find(c, m.config.Now().Unix())
	if k == nil || m.ctx.Err() != nil {
		return Authorization{}, false, nil
	}
	if k.lacks != nil {
		return Authorization{}, true, k.lacks
	}
	if a = k.of(c); k.signed != nil {
		if a, _, err = m.again(ctx, k.signed, c, ""); err != nil {
			return Authorization{}, true, err
		}
	}
	if o := m.config.Observer; o != nil {
		o.Reused(a)
	}
	return a, true, nil
}
