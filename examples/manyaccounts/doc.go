// Package manyaccounts is an example: a proxy for many accounts, whose agents are in a
// table of its own. docs/embedding.md goes through it.
package manyaccounts
