package host

import (
	"context"
	"strings"
	"sync"

	"github.com/agentassert/agentassert/core/wire"
)

// maxConversations is of how many conversations a manager remembers the task, at the
// least: those that were used last. There can be twice as many. Tests set it.
var maxConversations = 100_000

// maxAnswers is how many conversations' answers are kept for their second, at the most:
// beyond that, all begin anew.
const maxAnswers = 4096

// fewAnswers is how many can be in a map that is used again.
const fewAnswers = 8

// conversations are those that have a task of their own. What is remembered of one is
// small, for there are many: its task, for as long as its slot has that in it, and its
// answer until the second is over.
type conversations struct {
	mu sync.RWMutex
	// recent has those that were used last, earlier those before.
	recent, earlier map[string]conversation
	// answers are those of second.
	answers map[conversationCall]*answer
	second  int64
}

// conversationCall is what an answer in a conversation is for.
type conversationCall struct {
	thread string
	place  place
}

// conversation is what is known of one.
type conversation struct {
	// agent is the id of the agent whose task it is.
	agent, task string
	version     string
	sum         sum
	kept        *kept
}

// answer returns a conversation's answer in that second.
func (cs *conversations) answer(c call, second int64) *answer {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	if cs.second != second || len(cs.answers) == 0 {
		return nil
	}
	return cs.answers[conversationCall{c.thread, c.place}]
}

// keepAnswer keeps a conversation's answer for its second.
func (cs *conversations) keepAnswer(c call, a *answer) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.second != a.second || len(cs.answers) >= maxAnswers {
		if len(cs.answers) > fewAnswers {
			cs.answers = nil
		}
		clear(cs.answers)
		cs.second = a.second
	}
	if cs.answers == nil {
		cs.answers = make(map[conversationCall]*answer)
	}
	cs.answers[conversationCall{strings.Clone(c.thread), c.place}] = a
}

// dropAnswer drops a conversation's answer: another has taken its place.
func (cs *conversations) dropAnswer(c call) {
	if c.thread == "" {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.answers, conversationCall{c.thread, c.place})
}

// find returns what is known of a conversation.
func (cs *conversations) find(thread string) (c conversation, ok bool) {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	if c, ok = cs.recent[thread]; !ok {
		c, ok = cs.earlier[thread]
	}
	return c, ok
}

// keep remembers a conversation that was used.
func (cs *conversations) keep(thread string, c conversation) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, ok := cs.recent[thread]; !ok {
		delete(cs.earlier, thread)
		thread = strings.Clone(thread)
		if len(cs.recent) >= maxConversations {
			cs.earlier, cs.recent = cs.recent, nil
		}
	}
	if cs.recent == nil {
		cs.recent = make(map[string]conversation)
	}
	cs.recent[thread] = c
}

// forget forgets a conversation.
func (cs *conversations) forget(thread string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.recent, thread)
	delete(cs.earlier, thread)
	delete(cs.answers, conversationCall{thread, placeResponses})
	delete(cs.answers, conversationCall{thread, placeRest})
}

// clear forgets all.
func (cs *conversations) clear() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.recent, cs.earlier, cs.answers = nil, nil, nil
}

// renewThread returns the task of a conversation with that agent, if its slot still has
// it in it.
func (m *Manager) renewThread(ctx context.Context, thread, agent string) (task string, ok bool) {
	c, ok := m.answers.conversations.find(thread)
	if !ok || c.agent != agent {
		return "", false
	}
	was := found{slot: wire.SlotThread + thread, version: c.version, sum: c.sum, kept: c.kept}
	is, ok := m.holds(ctx, was)
	if !ok {
		return "", false
	}
	c.version = is.version
	m.answers.conversations.keep(thread, c)
	return c.task, true
}
