// Package gate holds what must be true before a release goes live (its user can reach every file, its checks pass) and after
// it went live (health, and what the error log gained meanwhile). It decides nothing about what follows: it reports, and its
// errors say what a person must know.
package gate
