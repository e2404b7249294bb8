// Package docs is the documentation of operators, for tests that hold it to what
// there is.
package docs

import "embed"

// Files are the documents.
//
//go:embed *.md
var Files embed.FS
