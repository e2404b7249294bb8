// Package compact is what entries of every class are written with: tables of
// rows that entries share, varints, addresses, and milliseconds.
package compact
