// Package verdict judges one failover: what became of every stream, how old
// it was when the director lost power, and whether that is good enough.
package verdict
