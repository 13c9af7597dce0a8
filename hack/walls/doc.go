// Package walls holds one test: who may import whom, with a reason per line. It has no
// code of its own.
package walls
