// Package keyring keeps the pre-shared keys of a cluster in files: it makes
// them, and reads them where nobody else could have.
//
// A ring has the key to seal with and, while the cluster goes from one key to
// another, a second one that is accepted. Nobody may seal with a key that a
// peer does not accept, so the change takes three steps, each on all directors
// before the next:
//
//  1. the new key is accepted,
//  2. the new key seals, the old one is accepted,
//  3. the old key goes.
package keyring
