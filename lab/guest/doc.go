// Package guest holds the tests that need a kernel of their own: they run as
// root in a guest, `make guest`, and skip anywhere else.
package guest
