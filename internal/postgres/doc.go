// Package postgres is what the packages that keep something in PostgreSQL have in
// common: how they connect, what they call their table, how they make it, and what they
// say where that fails.
package postgres
